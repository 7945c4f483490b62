"""Training an ONNX graph as it is, in PyTorch, which is imported inside functions only."""
