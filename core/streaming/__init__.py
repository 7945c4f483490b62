"""Passes over a model's inner tensors, sample by sample, in constant memory."""
