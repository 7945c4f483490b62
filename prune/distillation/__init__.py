"""A pruned model trained to give what the original gives."""
