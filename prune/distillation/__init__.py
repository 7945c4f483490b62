"""Distillation: a pruned model trained to give the outputs of the original."""
