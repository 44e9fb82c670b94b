"""The numbers behind every figure of a report's page."""
