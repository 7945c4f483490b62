"""Finished stages kept by what they were made from."""
