"""ONNX's operators → nodes of a Graph, a file a kind of operator."""
