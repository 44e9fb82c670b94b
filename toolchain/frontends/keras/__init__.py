"""Keras 2 and 3: models in memory, .keras, .h5 and SavedModel → Graph."""
