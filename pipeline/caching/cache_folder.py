"""The folder of a cache: what in it is the cache's own, and nothing else is ever touched.

It has a CACHEDIR.TAG of ours (https://bford.info/cachedir/), which backups leave out too. A folder
without it that holds anything else is somebody's: it is neither written to nor cleared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import OutputError
from ...core.files import make_with_parents, write_text
from .plain_files import read_plain

SUMS = "sums.json"
HINT = "set ROCKPRESS_CACHE_DIR to a folder of its own"
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of rockpress, and all its own.\n"
)
_PREFIX = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{64}")
# what there is before the mark: another process may be making it, or was killed
_OWN = re.compile(r"[0-9a-f]{2}|rockpress-\w+|\.CACHEDIR\.TAG\.\w+\.part")


def cache_folder() -> Path:
    """Return ROCKPRESS_CACHE_DIR, or rockpress in the user's cache folder."""
    if folder := os.environ.get("ROCKPRESS_CACHE_DIR"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rockpress"


@dataclass(frozen=True)
class CacheFolder:
    """The folder that entries are in, each at ``path / xx / the 64 digits that start with xx``."""

    path: Path

    def entry(self, key: str) -> Path:
        """Return where an entry is. Raises OutputError where a link would lead elsewhere."""
        folder = self.path / key[:2] / key
        for part in (folder.parent, folder):
            if part.is_symlink():
                raise OutputError(f"{part} is a link, which the cache has none of", HINT)
        return folder

    def entries(self) -> Iterator[Path]:
        """Yield the folders that are entries by their full name and what is in them."""
        if self._stranger():
            return
        for prefix in _folders(self.path, _PREFIX):
            for folder in _folders(prefix, _ENTRY):
                if folder.name.startswith(prefix.name) and _is_file(folder / SUMS):
                    yield folder

    def make(self) -> None:
        """Make the folder and mark it as the cache's. Raises OutputError or OSError."""
        self.require_own()
        make_with_parents(self.path)
        if not (self.path / _TAG).exists():
            write_text(self.path / _TAG, _TAG_TEXT, is_result=False)

    def require_own(self) -> None:
        """Raise OutputError when the folder is somebody else's."""
        if stranger := self._stranger():
            raise OutputError(f"{self.path} is no cache of rockpress: it holds {stranger}", HINT)

    def fault(self) -> str:
        """Return why nothing can be kept in it, or ""."""
        if stranger := self._stranger():
            return f"it holds {stranger}, which is not the cache's"
        lineage = (self.path, *self.path.parents)
        nearest = next(folder for folder in lineage if os.path.lexists(folder))
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            return ""
        return f"{nearest} {'cannot be written to' if nearest.is_dir() else 'is no folder'}"

    def _stranger(self) -> str:
        """Return the name of something that is not the cache's; "" where all is, or nothing is."""
        with suppress(OSError):
            names = sorted(os.listdir(self.path))
            if _TAG not in names:
                return next((name for name in names if not _OWN.fullmatch(name)), "")
            with suppress(ValueError):
                if read_plain(self.path / _TAG) == _TAG_TEXT.encode():
                    return ""
            return f"a {_TAG} of another program"
        return ""


def _folders(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Return the folders of such a name; links are none."""
    with suppress(OSError), os.scandir(folder) as items:
        return [
            Path(item.path)
            for item in items
            if name.fullmatch(item.name) and item.is_dir(follow_symlinks=False)
        ]
    return []


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
