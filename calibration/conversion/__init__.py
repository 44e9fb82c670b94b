"""Conversion: a trained network fires on the core as its ANN means it to, untrained."""
