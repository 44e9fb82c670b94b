"""Data that are drawn, not recorded: to train and to show without any."""
