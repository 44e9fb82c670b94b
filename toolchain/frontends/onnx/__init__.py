"""ONNX's files: what PyTorch, TensorFlow and scikit-learn export."""
