"""Activation ranges, weight rounding and mixed precision: a quantization plan."""
