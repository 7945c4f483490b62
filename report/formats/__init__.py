"""The formats of a report's file, one a module."""
