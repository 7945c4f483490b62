"""Words of the command line, read without pydantic.

Later versions of Typer import it to make a path of a word, which takes longer than reading all of
them and writing the result of a run that has nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args


@dataclass(frozen=True)
class _WordReader:
    """Reads what is given for a parameter, in place of what Typer makes of its annotation."""

    read: Callable[[Any], Any]

    def coerce(self, value: Any, param: Any, ctx: object) -> Any:
        """Return the value of a word, or a list of those of several; () where there is none."""
        if param.multiple or param.nargs == -1:
            return () if value is None else [self.read(word) for word in value]
        return None if value is None else self.read(value)


def read_plainly(params: Iterable[Any]) -> None:
    """Let parameters of Typer's read their words by a parser of ours, or as a path or a text.

    A flag that is not given is False: Typer reads one that is None. A version of Typer that has
    another way to read words keeps it.
    """
    for param in params:
        if getattr(param, "is_flag", False) and param.default is None:
            param.default = False
        if (descriptor := getattr(param, "type_descriptor", None)) is None:
            continue
        read = descriptor.parameter_info.parser or _plain(descriptor.annotation)
        if read is not None:
            param.get_runtime_param = partial(_WordReader, read)


def _plain(annotation: Any) -> Callable[[Any], Any] | None:
    """Return what reads a word as a path or a text, or a list of them; None for anything else."""
    single, *_ = get_args(annotation) or (annotation,)
    return {Path: Path, str: str}.get(single)
