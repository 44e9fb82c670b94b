"""A report as a page, from report.json alone."""
