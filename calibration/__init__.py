"""Numbers from data: scales, firing rates, synaptic operations, energy proxies."""
