"""A cache touches only what it made, and takes nothing that a link leads to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from commands import Run
from rockpress.core import unfinished
from rockpress.pipeline.caching.cache_folder import CacheFolder
from rockpress.pipeline.caching.plain_files import sums_of
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.caching.stage_times import RunTimes, StageTimes


def file_maker(folder: Path) -> str:
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("content")
    return "value"


def fill(cache: Cache, place: Path, inputs: str = "a") -> Path:
    """Put an entry into the cache and return its folder."""
    before = {entry.folder for entry in cache.entries()}
    assert cache.get_or_compute("kind", {"inputs": inputs}, file_maker, place) == "value"
    (folder,) = {entry.folder for entry in cache.entries()} - before
    return folder


def renew_sums(entry: Path) -> None:
    (entry / "sums.json").write_text(json.dumps(sums_of(entry, "sums.json")))


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of somebody's, with folders of two letters, and a link out of it."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    for folder in (
        home / "go" / "pkg",
        home / "ab" / ("ab" + "0" * 62),
        outside / ("cd" + "0" * 62),
    ):
        folder.mkdir(parents=True)
        (folder / "sums.json").write_text("precious")
    (home / "cd").symlink_to(outside)
    return home


@pytest.mark.parametrize("option", [("--clear",), ("--shrink", 0), ()])
def test_a_folder_of_somebody_else_is_refused(
    home: Path, option: tuple[object, ...], rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(home))
    before = tree(home.parent)
    code, out, err = rockpress("cache", *option)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {home} is no cache of rockpress: it holds go\n")
    assert err.splitlines()[1].startswith("hint: set ROCKPRESS_CACHE_DIR to")
    assert tree(home.parent) == before


def test_a_folder_of_somebody_else_is_not_written_to(home: Path, tmp_path: Path) -> None:
    cache, before = Cache(home, most_bytes=0), tree(home)
    assert cache.get_or_compute("kind", {}, file_maker, tmp_path / "place") == "value"
    with cache.unfinished("kind", {}) as place:
        assert home not in place.parents
    assert cache.shrink(0, unused=0) == 0
    assert tree(home) == before
    (warning,) = cache.warnings()
    assert warning.code == "cache-folder"
    assert "it holds go, which is not the cache's" in warning.text


def test_the_mark_stays_when_the_command_that_made_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what others wrote meanwhile would be somebody else's."""
    monkeypatch.setattr(unfinished, "_list", None)
    unfinished.share()
    StageTimes(tmp_path / "cache").add(RunTimes("work", {"quantize": 1.0}))
    unfinished.remove_unfinished()
    assert tree(tmp_path / "cache") == ["CACHEDIR.TAG", "stage-times.json"]
    assert CacheFolder(tmp_path / "cache").fault() == ""


def test_a_tag_of_another_program_is_no_mark_of_ours(tmp_path: Path) -> None:
    tag = "Signature: 8a477f597d28d172789f06886806bc55\n# cargo\n"
    (tmp_path / "CACHEDIR.TAG").write_text(tag)
    assert "of another program" in CacheFolder(tmp_path).fault()


def test_only_entries_are_cleared(home: Path, tmp_path: Path) -> None:
    """Also in the cache's own folder: what others put there stays."""
    folder = tmp_path / "cache"
    cache = Cache(folder)
    fill(cache, tmp_path / "place")
    assert (
        (folder / "CACHEDIR.TAG")
        .read_text()
        .startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    )
    for name in ("go/pkg", "ab/short", "ab/" + "f" * 64, "ab/" + "ab" * 32):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("precious")
    (folder / "cd").symlink_to(home.parent / "outside")
    (folder / "ab" / ("ab" + "1" * 62)).symlink_to(home / "go" / "pkg")
    (entry,) = cache.entries()
    assert cache.shrink(0, unused=0) == entry.bytes
    assert cache.entries() == []
    for name in ("go/pkg", "ab/short", "ab/" + "f" * 64, "ab/" + "ab" * 32):
        assert (folder / name / "file").read_text() == "precious"
    assert len(list(home.parent.rglob("sums.json"))) == 3


@pytest.mark.parametrize("part", ["prefix", "entry"])
def test_a_link_in_the_place_of_an_entry_is_no_entry(part: str, tmp_path: Path) -> None:
    cache, outside = Cache(tmp_path / "cache"), tmp_path / "outside"
    entry = fill(cache, tmp_path / "place")
    linked = entry if part == "entry" else entry.parent
    linked.rename(outside)
    linked.symlink_to(outside)
    before = tree(outside)
    assert cache.get_or_compute("kind", {"inputs": "a"}, file_maker, tmp_path / "new") == "value"
    assert tree(outside) == before
    assert cache.entries() == []


@pytest.mark.parametrize("kind", ["link", "folder link", "fifo", "sums fifo", "sums link"])
def test_an_entry_with_anything_but_files_is_damaged(kind: str, tmp_path: Path) -> None:
    cache, secret = Cache(tmp_path / "cache"), tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("TOP-SECRET")
    entry = fill(cache, tmp_path / "place")
    if kind == "link":
        (entry / "files" / "sub" / "file").unlink()
        (entry / "files" / "sub" / "file").symlink_to(secret / "file")
        renew_sums(entry)
    elif kind == "folder link":
        (entry / "files" / "loop").symlink_to(secret)
        renew_sums(entry)
    elif kind == "fifo":
        os.mkfifo(entry / "files" / "more")
    else:
        content = (entry / "sums.json").read_text()
        (entry / "sums.json").unlink()
        if kind == "sums fifo":
            os.mkfifo(entry / "sums.json")
        else:
            (tmp_path / "sums").write_text(content)
            (entry / "sums.json").symlink_to(tmp_path / "sums")
    new = tmp_path / "new"
    assert cache.get_or_compute("kind", {"inputs": "a"}, file_maker, new) == "value"
    assert tree(new) == ["sub", "sub/file"]
    assert (new / "sub" / "file").read_text() == "content"


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[" * 100_000,
        '{"result": {"__kind__": "rockpress.no_such:Thing", "fields": {}}}',
        '{"result": {"__kind__": "rockpress.__main__:main", "fields": {}}}',
        '{"result": {"__kind__": "array", "name": "a0"}}',
        '{"result": {"__kind__": "tuple"}}',
        '{"result": {"__kind__": "path", "path": 1}}',
    ],
)
def test_a_value_that_is_none_is_made_again(text: str, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    entry = fill(cache, tmp_path / "place")
    (entry / "value.json").write_text(text)
    renew_sums(entry)
    assert cache.get_or_compute("kind", {"inputs": "a"}, file_maker, tmp_path / "new") == "value"


@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_entries_have_the_permissions_of_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        entry = fill(Cache(tmp_path / "cache"), tmp_path / "place")
    finally:
        os.umask(before)
    for path in (entry.parent, entry, *entry.rglob("*")):
        wanted = (0o777 if path.is_dir() else 0o666) & ~mask
        assert path.stat().st_mode & 0o777 == wanted, path
