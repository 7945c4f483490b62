"""Talking to a board: links to it, the agent that runs there, and what both say."""
