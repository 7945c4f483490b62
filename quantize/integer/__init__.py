"""Weights and activations as integers: the quantized model that each method makes."""
