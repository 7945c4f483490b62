"""Results rendered for a terminal, JSON, Markdown, HTML and JUnit: pure functions."""
