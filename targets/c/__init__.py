"""C: a Program as C99 that fires the same spikes, and the target that runs it."""
