"""The compiler's layer table as it is expected, without a build."""
