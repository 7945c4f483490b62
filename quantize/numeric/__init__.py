"""Histograms, ranges, scales and rounding: arrays in, arrays out."""
