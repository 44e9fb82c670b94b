"""Between populations one linear node for each source."""
