"""``snn-deploy train`` and the first networks that it trains."""
