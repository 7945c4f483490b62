"""Operators written out in older, standard ones that every stage and the toolkit know."""
