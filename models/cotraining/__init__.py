"""Hybrid fine-tuning: forward with spikes, backward through the rates."""
