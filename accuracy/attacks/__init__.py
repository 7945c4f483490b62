"""Images changed a little on purpose, so that a model takes them for something else."""
