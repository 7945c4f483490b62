"""Fixtures of several test files; what they are made with is in support/."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

import graphs
from commands import Ended, Run, in_a_process
from folders import folder_of_all_workers
from rockpress.cli import main as entry
from rockpress.cli.phrases import command_phrase
from rockpress.cli.stop_signals import STOPPING
from rockpress.core.diagnostics import speaking
from samples import labelled_images, noise_images
from stand_in_board import StandInBoard

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A shell has what it starts in the background ignore Ctrl-C and SIGQUIT, nohup SIGHUP, and so does
# all that is started in turn; but for what Python itself does about a signal.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        is_ctrl_c = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_ctrl_c else lambda *_: None)

# The same examples in every run, however slow the machine is; and whatever was imported before,
# which differs with the tests that had their turn: Hypothesis takes numbers and texts out of that.
settings.register_profile("rockpress", deadline=None, derandomize=True)
settings.load_profile("rockpress")
setattr(providers, "_get_local_constants", lambda: providers._local_constants)  # noqa: B010


def pytest_configure(config: pytest.Config) -> None:
    """Say options as they are typed, unless a test asks for other words.

    From before test modules are imported: the help of a command is said when its module is.
    """
    words = ExitStack()
    words.enter_context(speaking(command_phrase))
    config.add_cleanup(words.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no worker is left with a last long file on its own."""
    items.sort(key=lambda item: item.get_closest_marker("toolkit") is None)


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the caches of this session; the user's own is not touched."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROCKPRESS_CACHE_DIR", str(folder / "session"))
        if sys.dont_write_bytecode:  # else each process compiles all that it imports, for seconds
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", folder_of_all_workers(tmp_path_factory, "bytecode"))
        patch.delenv("GITHUB_ACTIONS", raising=False)  # where failed gates are annotated
        yield folder


@pytest.fixture(autouse=True)
def empty_cache(
    caches: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one test computed must not be what another finds."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(caches / name))


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository, which is that of the package too."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())
    return content


@pytest.fixture
def rockpress(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Exit code, stdout and stderr of a command, run in this process."""
    monkeypatch.setattr(entry, "catch_signals", lambda: None)  # those of pytest stay
    monkeypatch.setattr(entry, "supervised", lambda command, verbose: command())

    def call(*args: object) -> Ended:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["rockpress", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        return Ended(int(stop.value.code or 0), *capfd.readouterr())

    # a command that is interrupted listens to no signal any more, as its process is about to end
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def small_cnn(tmp_path: Path) -> Path:
    """A CNN with a residual and a depthwise block: x 1x3x32x32 -> logits 1x10, seeded weights."""
    path = tmp_path / "small_cnn.onnx"
    onnx.save(graphs.small_cnn(), path)
    return path


@pytest.fixture
def wide_cnn(tmp_path: Path) -> Path:
    """The same with six times the channels, so that pruning has what to cut."""
    path = tmp_path / "wide_cnn.onnx"
    onnx.save(graphs.small_cnn(width=96), path)
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Eight PNG images of 40x36 pixels."""
    return noise_images(tmp_path / "images", count=8, seed=1)


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Path:
    """A folder for each of the classes a, b and c, with four PNG images of 40x36 pixels in each."""
    return labelled_images(tmp_path / "labelled", "abc", count=4)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInBoard:
    """An RK3588 that is a folder of this machine, with a stand-in for its runtime."""
    board = StandInBoard(tmp_path / "board")
    for name, value in board.environment.items():
        monkeypatch.setenv(name, value)
    return board


@pytest.fixture(scope="session")
def pages_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache for the demo and all pages, also of tests that run beside this process."""
    return folder_of_all_workers(tmp_path_factory, "pages-cache")


@pytest.fixture(scope="session")
def demo_run(
    tmp_path_factory: pytest.TempPathFactory, pages_cache: str
) -> subprocess.CompletedProcess[str]:
    """One run of ``rockpress demo``, into the folder ``demo`` of its ``cwd``, with report.md."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "ROCKPRESS_CACHE_DIR": pages_cache}
    words = ["demo", "-o", "demo", "--report", "report.json"]
    done = in_a_process(*words, cwd=folder, env=environment, timeout=900)
    done.args.append(folder)
    return done


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command, for shells."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "rockpress").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rockpress "$@"\n')
    (folder / "rockpress").chmod(0o755)
    return folder
