"""Mixed precision: which tensors are worth 16 bits, within a budget."""
