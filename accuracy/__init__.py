"""Metrics, retention and its confidence interval, gates, and the runners that give the outputs."""
