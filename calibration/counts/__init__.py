"""Counts beyond spikes and synapses: updates, hops, memory, NeuroBench's metrics."""
