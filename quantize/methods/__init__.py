"""The quantization methods, and which of their models is best on held-out samples."""


def method_names() -> tuple[str, ...]:
    """Return the names of all methods."""
    return (
        "auto",
        "gptq",
        "gptq-min-max",
        "gptq-sequential",
        "gptq-min-max-sequential",
        "gptq-equalized",
        "gptq-min-max-equalized",
        "mse",
        "min-max",
        "percentile",
        "kl",
    )
