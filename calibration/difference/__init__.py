"""What is different between two builds or reports, and rules on how much may be."""
