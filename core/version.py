"""The version of rockpress that is installed."""

from __future__ import annotations

from importlib.metadata import version


def rockpress_version() -> str:
    """Return the version, as the package's metadata say it."""
    return version("rockpress")
