"""The metrics by name, one task a file."""
