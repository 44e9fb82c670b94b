"""Graph: a network in float, and what it means."""
