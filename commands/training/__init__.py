"""Networks trained here: the papers', and first ones for data."""
