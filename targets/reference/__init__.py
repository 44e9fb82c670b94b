"""The core's arithmetic in compiled code."""
