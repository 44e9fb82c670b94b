"""The host's side of a Program in C: samples become integers, spikes an answer."""
