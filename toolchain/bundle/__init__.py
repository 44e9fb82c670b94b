"""A Graph or a Program on disk."""
