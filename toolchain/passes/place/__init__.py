"""Populations onto cores; no integer changes."""
