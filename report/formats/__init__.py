"""The formats of a report's file, one a module."""


def format_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that a report can be written to."""
    return (".json", ".md", ".html", ".xml")
