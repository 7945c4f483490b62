"""What one can choose between, by name."""
