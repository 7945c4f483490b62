"""What a run is to do: the recipe, its file, and what can be known to be impossible."""
