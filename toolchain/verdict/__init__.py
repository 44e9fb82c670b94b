"""Recordings held to each other."""
