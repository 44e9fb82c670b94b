"""Each layer class of Keras as the nodes of a Graph."""
