"""The ONNX model as a graph: loading, look-ups, layers and their sizes."""
