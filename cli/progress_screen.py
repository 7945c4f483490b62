"""Progress on a terminal: finished stages stay with their time, a row for each that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..core.progress import Progress
from ..core.shortened import shortened
from .help_columns import terminal_width
from .progress_log import ShownOnce, StageProgress, count_text
from .run_clock import RunClock, RunningStage
from .time_left import duration
from .word_colours import with_colour

_NARROW_BAR, _WIDE_BAR = 8, 30
_REFRESHES = 4  # a second
_TITLE_WIDTH = 36


@contextmanager
def on_screen(warnings: ShownOnce) -> Iterator[Progress]:
    """Yield the progress of a run on the terminal that stderr is."""
    from rich.console import Console
    from rich.live import Live

    screen = Screen(warnings, RunClock())
    console = Console(stderr=True)
    with Live(screen, console=console, transient=True, refresh_per_second=_REFRESHES) as live:
        screen.console, screen.refresh = console, live.refresh
        yield screen
        screen.finish()


class Screen(StageProgress):
    """The rows of all targets: that of the whole is the first."""

    def __init__(self, warnings: ShownOnce, clock: RunClock, target: str = "") -> None:
        super().__init__(warnings, clock, target)
        self.console: Any = None
        self.refresh: Callable[[], None] = lambda: None
        self._steps: list[tuple[str, int, int | None]] = []
        self._rows: list[Screen] = [self]

    def of(self, target: str) -> Progress:
        """Return the progress of a target, with a row of its own."""
        self.finish()
        own = Screen(self._warnings, self.clock, target)
        own.console, own.refresh, own._rows = self.console, self.refresh, self._rows
        self._rows.append(own)
        return own

    def began(self, stage: RunningStage) -> None:
        """Show the stage at once, without the steps of that before."""
        self._steps.clear()
        self.refresh()

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Note how far the activity of a stage is."""
        is_new = activity != self._left.activity
        super().step(activity, done, total)
        self._steps[:] = [(activity, done, total)]
        if is_new:
            self.refresh()

    def ended(self, stage: RunningStage) -> None:
        """Leave a line of a finished stage above the rows."""
        self.say(f"{_place(stage, self.clock)}{stage.title:<{_TITLE_WIDTH}} {stage.outcome:>8}")

    def end(self, status: str) -> None:
        """End a target."""
        self.finish()
        if status == "failed":
            self.say(f"{self.prefix}{status}")

    def say(self, line: str) -> None:
        """Print a line above the rows."""
        from rich.text import Text

        self.console.print(Text.from_ansi(with_colour(line)), soft_wrap=True)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """Yield the row of every stage that runs."""
        from rich.text import Text

        width = min(options.max_width, terminal_width(sys.stderr))
        for row in list(self._rows):
            if row.running is not None:
                yield Text(row.text(width), no_wrap=True, overflow="ellipsis")

    def text(self, width: int) -> str:
        """Return the row: what is done, a bar, how long it took, and what all of it has left."""
        stage = self.running
        assert stage is not None
        activity, done, total = self._steps[0] if self._steps else ("", 0, None)
        count = count_text(done, total)
        elapsed = f"{duration(self.clock.elapsed(stage))} elapsed"
        times = ", ".join(filter(None, [elapsed, self.clock.left_text(stage)]))
        room = max(1, width - len(times) - 2)
        name = f"{_place(stage, self.clock)}{stage.title}"
        title = _fitting(name, [f"{activity} {count}".strip(), count], room)
        bar = _bar(done, total, room - len(title) - 1)
        return f"{f'{title} {bar}'.rstrip():{room}}  {times}"


def _place(stage: RunningStage, clock: RunClock) -> str:
    return f"[{stage.number}/{clock.planned}] " if stage.number else ""


def _fitting(name: str, details: list[str], room: int) -> str:
    """Return the name of a stage with the first of the details that there is room for."""
    titles = [f"{name}: {detail}" for detail in details if detail]
    fits = (title for title in titles if len(title) <= room)
    return next(fits, "") or shortened(name, room)


def _bar(done: int, total: int | None, room: int) -> str:
    """Return a bar of what is done, "" where there is no room or nothing to tell."""
    if not total or room < _NARROW_BAR:
        return ""
    length = min(room, _WIDE_BAR)
    full = round(length * min(done, total) / total)
    return "━" * full + "─" * (length - full)
