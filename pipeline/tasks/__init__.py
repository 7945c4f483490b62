"""What stages are given and compute: one task each, which decides the result."""
