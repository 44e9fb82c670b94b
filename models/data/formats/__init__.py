"""Formats of data that any kind of task may have, a file each."""
