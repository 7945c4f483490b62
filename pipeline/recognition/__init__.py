"""What a family of models sees of a model, and the form of what it says."""
