"""Many conversions in one process, and conversions that are killed: nothing is left behind."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import ToolkitEnded
from rockpress.core.progress import Progress
from rockpress.core.scratch import scratch_folder
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.recipes.recipe import make_recipe

pytestmark = [
    pytest.mark.toolkit,
    pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2"),
]

STAGES = ["import", "load", "build", "export", "simulate"]
GROWTH = 40 << 20  # bytes; Python and ONNX Runtime settle within this


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for temporary files, and an empty working directory."""
    for name in ("temporary", "current"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "current")
    yield tmp_path / "temporary"
    assert list((tmp_path / "temporary").iterdir()) == []
    assert list((tmp_path / "current").iterdir()) == []


@pytest.mark.parametrize(
    "count", [5, pytest.param(200, marks=pytest.mark.soak)], ids=["five", "two hundred"]
)
@pytest.mark.usefixtures("temporary")
def test_many_conversions_leave_nothing_behind(small_cnn: Path, tmp_path: Path, count: int) -> None:
    process = psutil.Process()
    samples = [{"x": np.zeros((1, 3, 32, 32), np.float32)}]
    seen: list[tuple[int, int]] = []
    for _ in range(count):
        convert(
            ConversionRequest(small_cnn, tmp_path / "out" / "a.rknn", "rk3588", simulate=samples)
        )
        gc.collect()
        seen.append((process.num_fds(), process.memory_info().rss))
        assert process.children(recursive=True) == []
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["a.rknn"]
    settled, last = seen[1], seen[-1]
    assert last[0] == settled[0]
    assert last[1] - settled[1] < GROWTH


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.usefixtures("temporary")
def test_a_child_that_is_killed(small_cnn: Path, tmp_path: Path, stage: str) -> None:
    def kill(line: str) -> None:
        if line.startswith(stage):
            for child in psutil.Process().children():
                os.kill(child.pid, signal.SIGKILL)

    recipe = make_recipe(model=small_cnn, calib=saved_samples(tmp_path))
    progress = Killing(kill)
    with pytest.raises(ToolkitEnded, match="SIGKILL"):
        convert_file(recipe, tmp_path / "out" / "a.rknn", progress)
    assert not (tmp_path / "out").exists()


class Killing(Progress):
    """An progress that hands every step on."""

    def __init__(self, act: object) -> None:
        self._act = act

    def step(self, what: str, done: int, total: int | None = None) -> None:
        """Tell what happens."""
        assert callable(self._act)
        self._act(what)


def saved_samples(folder: Path) -> Path:
    path = folder / "samples.npz"
    np.savez(path, x=np.zeros((2, 3, 32, 32), np.float32))
    return path


@pytest.mark.parametrize("stage", STAGES)
def test_rockpress_itself_is_killed(
    small_cnn: Path, tmp_path: Path, temporary: Path, stage: str
) -> None:
    """No file that looks finished; what lies in the temporary folder is swept by the next run."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from rockpress.pipeline.recipes.recipe import make_recipe\n"
        "from rockpress.pipeline.convert_file import convert_file\n"
        "from rockpress.core.progress import Progress\n"
        "class Killing(Progress):\n"
        "    def stage(self, name): pass\n"
        "    def step(self, what, done, total):\n"
        "        if what.startswith(sys.argv[1]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "recipe = make_recipe(model=Path(sys.argv[2]), calib=Path(sys.argv[3]))\n"
        "convert_file(recipe, Path('out/a.rknn'), Killing())\n"
    )
    place = tmp_path / "killed"
    place.mkdir()
    words = [sys.executable, "-c", script, stage, str(small_cnn), str(saved_samples(tmp_path))]
    done = subprocess.run(words, cwd=place, env={**os.environ, "TMPDIR": str(temporary)})
    assert done.returncode == -signal.SIGKILL
    assert [path for path in place.rglob("*") if path.is_file()] == []
    assert list(temporary.iterdir()) != []
    with scratch_folder():
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("removed", range(4))
def test_a_process_killed_while_it_cleans_up_leaves_nothing(removed: int, temporary: Path) -> None:
    script = (
        "import os, sys\n"
        "from rockpress.core.scratch import scratch_folder\n"
        "left, unlink = int(sys.argv[1]), os.unlink\n"
        "def killed(*place, **more):\n"
        "    global left\n"
        "    left -= 1\n"
        "    os._exit(9) if left < 0 else unlink(*place, **more)\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'sub').mkdir()\n"
        "    for name in ('one', 'two', 'sub/three'):\n"
        "        (folder / name).write_text('')\n"
        "    os.unlink = killed\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run([sys.executable, "-c", script, str(removed)], env=environment)
    assert done.returncode == 9
    assert list(temporary.iterdir()) != []
    with scratch_folder():
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "call", ["Path.symlink_to", "os.mkdir", "os.open", "os.write", "Path.rename", "Path.unlink"]
)
def test_a_process_killed_while_it_makes_a_folder_leaves_nothing(
    call: str, temporary: Path
) -> None:
    """Just before that call: the folder has no mark yet, or the link beside it is still there."""
    script = (
        "import os, tempfile\n"
        "from pathlib import Path\n"
        "from rockpress.core.scratch import scratch_folder\n"
        "tempfile.gettempdir()\n"  # which is tried out with a file
        f"{call} = lambda *_, **__: os._exit(9)\n"
        "with scratch_folder():\n"
        "    pass\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run([sys.executable, "-c", script], env=environment)
    assert done.returncode == 9
    assert (list(temporary.iterdir()) != []) == (call != "Path.symlink_to")
    with scratch_folder():
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("text", ["", "1 2 3", "{own} 1 pid:[1]", "{own} {start} {namespace}"])
def test_a_folder_that_somebody_makes_is_not_swept(text: str, temporary: Path) -> None:
    """Somebody who runs, whose number means another process, or of whom nothing is known."""
    own = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    said = text.format(own=os.getpid(), start=own, namespace=os.readlink("/proc/self/ns/pid"))
    folder, sign = (temporary / f"rockpress-{16 * '0'}{end}" for end in ("", "_making"))
    folder.mkdir(0o700)
    sign.symlink_to(said or "nothing")
    with scratch_folder():
        pass
    assert {folder, sign} == set(temporary.iterdir())
    folder.rmdir()
    sign.unlink()


def test_a_link_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in (".lock", "file"):
        (other / name).write_text("kept")
    (temporary / "rockpress-abcdefgh").symlink_to(other)
    with scratch_folder():
        pass
    assert len(list(other.iterdir())) == 2
    (temporary / "rockpress-abcdefgh").unlink()


def test_a_folder_in_use_is_not_swept(temporary: Path) -> None:
    with scratch_folder() as first:
        (first / "file").write_text("kept")
        with scratch_folder() as second:
            assert {first, second} == set(temporary.iterdir())
        assert (first / "file").read_text() == "kept"


@pytest.mark.parametrize("mark", [None, b"", b"rockpress", b"rockpress rockpress-notes 1 1 1\n"])
def test_a_folder_of_somebody_else_is_not_swept(temporary: Path, mark: bytes | None) -> None:
    other = temporary / "rockpress-notes"
    other.mkdir()
    (other / "file").write_text("kept")
    if mark is not None:
        (other / ".lock").write_bytes(mark)
    with scratch_folder():
        pass
    assert (other / "file").read_text() == "kept"
    shutil.rmtree(other)


def test_a_copy_of_a_folder_is_not_swept(temporary: Path) -> None:
    """Its mark is another's: of another name, or of another folder that had this name."""
    copies = [temporary / "rockpress-copy", temporary / "moved"]
    with scratch_folder() as first:
        (first / "file").write_text("kept")
        for copy in copies:
            shutil.copytree(first, copy)
    copies.append(copies.pop().rename(first))
    with scratch_folder():
        pass
    for copy in copies:
        assert (copy / "file").read_text() == "kept"
        shutil.rmtree(copy)


def test_a_folder_whose_maker_lives_is_not_swept(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file system has no locks."""
    monkeypatch.setattr("rockpress.core.scratch.fcntl.flock", lambda *_: None)
    with scratch_folder() as first, scratch_folder() as second:
        assert {first, second} == set(temporary.iterdir())
