"""What a network may do without: spikes, and synapses."""
