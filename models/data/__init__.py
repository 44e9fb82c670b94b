"""Loaders, generators, split, augmentation; no framework."""
