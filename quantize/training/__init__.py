"""Training: a quantized model that is trained, through its rounding, to give the float model's."""
