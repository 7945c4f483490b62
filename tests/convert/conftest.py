"""Fixtures of the tests of conversion."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, nothing in the temporary folder, nothing in the current folder."""
    folders = [tmp_path / "temporary", tmp_path / "current"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folders[0]))
    monkeypatch.chdir(folders[1])
    yield
    assert [list(folder.iterdir()) for folder in folders] == [[], []]
    assert psutil.Process().children(recursive=True) == []
