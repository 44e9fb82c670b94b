"""The network's ANN as int8 C: what a microcontroller runs where nothing spikes."""
