"""The formats of a report's file, one a module, each named as the suffix of its files."""
