"""A quantized model in the form that the installed toolkit carries exactly."""
