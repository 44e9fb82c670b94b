"""Networks to train and deploy, and how each is trained."""
