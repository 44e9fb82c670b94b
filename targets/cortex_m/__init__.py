"""Cortex-M: a Program's C as the firmware of an emulated microcontroller board."""
