"""The kind of an option that says where something is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .option_kinds import Kind, require


@dataclass(eq=False, repr=False)
class Address(Kind):
    """A text that ``reads`` takes, which raises ValueError for others; ``forms`` are those."""

    reads: Callable[[str], object]
    forms: str
    metavar: str = "URL"

    @property
    def wants(self) -> str:  # type: ignore[override]
        return self.forms

    def load(self, value: Any) -> str:
        self.reads(require(value, isinstance(value, str)))
        return str(value)
