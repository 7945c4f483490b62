"""Tasks that take long, each looked up in the cache before it is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import RockpressError
from ...core.scratch import scratch_folder
from .content_keys import key_of
from .stage_cache import Cache, CacheMiss

T = TypeVar("T")


@dataclass(frozen=True)
class TaskCache:
    """The cache of a run, None where nothing is kept."""

    cache: Cache | None = None

    def run(
        self, kind: str, task: Any, compute: Callable[[Path], T], outputs: Mapping[str, Path | None]
    ) -> T:
        """Return what ``compute`` gives for a task; its files come to ``outputs``, by their names.

        ``compute`` writes into the folder that it gets. Raises what it raises, and CacheMiss where
        the cache is read-only and has no such result.
        """
        with scratch_folder() as folder:
            result = self.run_in(kind, task, compute, folder)
            for name, output in outputs.items():
                if output is not None:
                    output.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(folder / name, output)
        return result

    def run_in(self, kind: str, task: Any, compute: Callable[[Path], T], folder: Path) -> T:
        """Return the same, all files in ``folder``; without a cache nothing is read for a key."""
        if self.cache is None:
            return compute(folder)
        try:
            key = key_of(task)
        except RockpressError:
            if self.cache.read_only:
                raise CacheMiss from None
            return compute(folder)  # it tells in its own order what is wrong
        return self.cache.get_or_compute(kind, key, compute, folder)
