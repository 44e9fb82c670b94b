"""Spikes of a minibatch, counted in compiled code: training's forward pass."""
