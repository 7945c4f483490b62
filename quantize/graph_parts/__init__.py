"""Which parts of a graph carry quantized values, and which stay in float."""
