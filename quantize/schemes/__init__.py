"""The number formats: one small file each."""


def scheme_names() -> tuple[str, ...]:
    """Return the names of all number formats."""
    return ("w8a8", "w8a16", "w4a16", "float16")
