"""Which channels belong together, and a model without some of them."""
