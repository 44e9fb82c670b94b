"""NIR graphs, the Neuromorphic Intermediate Representation (Pedersen et al. 2024)."""
