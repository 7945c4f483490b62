"""What pruning is asked for and what it did, as plain values."""
