"""Graph → NIR."""
