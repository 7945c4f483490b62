"""The toolkit that conversions need: that it is there, before minutes are spent."""

from __future__ import annotations

from pathlib import Path

from ...convert.toolkit.environment import runs, toolkit_version
from ...core.diagnostics import option
from ...core.errors import NOT_INSTALLED, ToolkitError


def require_python(python: Path | None) -> None:
    """Raise ToolkitError for what is no Python."""
    if python is not None and not runs(python):
        raise ToolkitError(
            f"{option('toolkit-python', str(python))} is no Python that runs",
            "give the path of an environment's Python, such as env/bin/python",
        )


def require_toolkit(python: Path | None) -> str:
    """Return the toolkit's version. Raises ToolkitError when it is not installed."""
    require_python(python)
    version = toolkit_version(python)
    if version is None and python is not None:
        raise ToolkitError(
            f"rknn-toolkit2 {NOT_INSTALLED} for {option('toolkit-python', str(python))}",
            f"rockpress doctor with {option('toolkit-python', str(python))} says what is missing",
        )
    if version is None:
        raise ToolkitError(
            f"rknn-toolkit2 {NOT_INSTALLED} here, so nothing can be converted",
            f"see rockpress doctor, or name another environment with {option('toolkit-python')}",
        )
    return version
