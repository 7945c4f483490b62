"""Figures, tables and lines of text, for the terminal and for Markdown."""
