"""What every room rests on: errors, the ONNX model, its graph, the ONNX Runtime session."""
