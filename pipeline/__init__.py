"""The recipe, the chain of stages, the stage cache and the search."""
