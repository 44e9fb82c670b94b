"""Training as an ANN."""
