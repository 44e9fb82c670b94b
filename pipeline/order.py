"""Which passes make a Program of a network, in order; each is a file here."""

CONVERTED = ("fold", "legalize", "balance", "quantize", "simulate", "calibrate")
TUNED = ("fold", "legalize", "quantize", "simulate")
"""A fine-tuned network keeps its rates, which it learnt, and its read-out."""
