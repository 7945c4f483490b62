"""What a search for trade-offs came to: the front, the options, the failures; as files."""
