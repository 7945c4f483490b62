"""The report as plain values: one versioned document, written and read back."""
