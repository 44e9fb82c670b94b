"""Nengo networks, as Python objects, → Graph."""
