"""Files of an earlier run that a new one, which went another way, does not replace."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ...convert.manifest import manifest_path, read_manifest
from ...core.errors import RockpressError
from ...core.files import sha256_of


def superseded_files(rknn: Path, staged: Path) -> list[Path]:
    """Return the files beside ``rknn`` that its manifest names and that ``staged`` has not.

    Only those under the model's own name that are still what was written: what was changed since,
    or is not of ours, is nobody's to remove but the user's.
    """
    with suppress(RockpressError, OSError):
        before, after = (manifest_path(folder / rknn.name) for folder in (rknn.parent, staged))
        if after.is_file() and before.read_bytes() == after.read_bytes():
            return []  # it names the same files, and need not be read: that takes a while
        manifest = read_manifest(before)
        return [
            file
            for role, name in manifest.files.items()
            if name.startswith(f"{rknn.stem}.") and "/" not in name
            for file in [rknn.with_name(name)]
            if not (staged / name).exists() and not file.is_symlink() and file.is_file()
            if sha256_of(file) == manifest.digests.get(role)
        ]
    return []
