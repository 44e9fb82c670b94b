"""The float network in NengoDL."""
