"""The table of options: one frozen dataclass a stage, one field an option."""
