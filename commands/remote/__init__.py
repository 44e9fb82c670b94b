"""Bundles that travel, and where they are run."""
