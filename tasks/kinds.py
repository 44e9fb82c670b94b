"""Which kinds of task there are: a file here each, and a word in ``KINDS``."""

KINDS = ("classes", "values", "boxes", "masks")
