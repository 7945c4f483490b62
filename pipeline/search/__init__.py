"""The search for the best trade-offs of one model: points, their trials, and the front."""
