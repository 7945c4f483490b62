"""A search on many machines: trials by the workers of a dask cluster, and the files they need."""
