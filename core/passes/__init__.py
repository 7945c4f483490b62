"""Changes to a model that keep its function: shapes fixed, constants folded, spellings unified."""
