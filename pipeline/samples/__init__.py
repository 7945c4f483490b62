"""The model made ready, and the samples bound to its inputs."""
