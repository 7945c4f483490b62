"""The stages, joined to what they need of the rooms."""
