"""Networks to deploy, their data sets, and how they are trained."""
