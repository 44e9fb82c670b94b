"""NetX files of lava-dl (.net) → Graph, and Programs → such files."""
