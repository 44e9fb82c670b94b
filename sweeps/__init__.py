"""Sweeps: many builds of one network, held to each other."""
