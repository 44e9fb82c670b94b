"""Energy of an inference: published constants times counts, or a power log."""
