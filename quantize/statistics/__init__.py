"""What the one pass over the calibration samples collects of every tensor."""
