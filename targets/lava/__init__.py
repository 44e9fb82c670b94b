"""The same integers as Lava processes."""
