"""The quantization methods, and which of their models is best on held-out samples."""
