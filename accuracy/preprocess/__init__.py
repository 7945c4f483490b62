"""Is the preprocessing the one that the model was trained with?"""
