"""Model files -> Graph; one file a format."""
