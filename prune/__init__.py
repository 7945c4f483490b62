"""Structured pruning on the ONNX graph: which channels to drop, and how to repair."""
