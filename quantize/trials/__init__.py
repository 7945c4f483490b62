"""Which of several quantized models is best, by trial on samples that none has seen."""
