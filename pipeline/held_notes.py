"""Notes that wait until a command is known to be possible: an error is not lost behind them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..core.diagnostics import Diagnostic, mentions
from ..core.errors import RockpressError
from ..core.progress import Progress


@dataclass
class HeldNotes(Progress):
    """Keeps notes back from ``progress``."""

    progress: Progress
    texts: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a note."""
        self.texts.append(text)

    def warn(self, diagnostic: Diagnostic) -> None:
        """Tell a warning at once."""
        self.progress.warn(diagnostic)

    @contextmanager
    def told_after(self, about: Collection[str]) -> Iterator[None]:
        """Tell them after the block; where that fails only if the error names an option of them.

        ``about`` are the names of these options.
        """
        try:
            yield
        except RockpressError as error:
            named = mentions(f"{error.diagnostic.text} {error.diagnostic.hint}")
            if not {name.replace("-", "_") for name in named}.isdisjoint(about):
                self._tell()
            raise
        self._tell()

    def _tell(self) -> None:
        for text in self.texts:
            self.progress.note(text)
        self.texts.clear()
