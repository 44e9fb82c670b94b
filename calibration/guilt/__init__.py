"""Guilt: which layer of a built Program loses how much of the answers, and why."""
