"""Findings: what is wrong with a run, each with a name, a layer and what mends it."""
