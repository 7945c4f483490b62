"""Where a training that is stopped goes on: a file in the cache, under the key of its task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..caching.cache_folder import cache_folder
from ..caching.content_keys import key_of
from ..caching.stage_cache import Cache

_FILE = "checkpoint.pt"


@contextmanager
def training_checkpoint(kind: str, task: Any, cache: Cache | None) -> Iterator[Path]:
    """Yield the file for the state of the training that a task asks for; it is gone at the end.

    An exception leaves it where it is, for the same task the next time. Without a ``cache`` it is
    in the user's. Raises RockpressError when a file of the task cannot be read.
    """
    cache = cache or Cache(cache_folder())
    with cache.unfinished(kind, key_of(task)) as folder:
        yield folder / _FILE
