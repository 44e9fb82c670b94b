"""Another machine, or another Python here: a packed bundle run there."""
