"""The passes that make a Program of a trained Graph, each a file."""
