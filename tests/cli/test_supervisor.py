"""What turns for ever, crashes or is deaf is ended, with one error and nothing left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from commands import in_a_process
from graphs import model_of_nodes
from rockpress.core.threads import cap_threads, threads_allowed


def endless_model(path: Path) -> None:
    """A Loop of 2^62 turns, which ends after none where its input is 0."""
    values = [("i", TensorProto.INT64), ("go_on", TensorProto.BOOL), ("sum", TensorProto.FLOAT)]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["again"]),
            helper.make_node("Add", ["sum", "sum"], ["more"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in values],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["start"], keepdims=0),
        helper.make_node("Greater", ["start", "zero"], ["go"]),
        helper.make_node("Loop", ["turns", "go", "start"], ["end"], body=body),
        helper.make_node("Add", ["x", "end"], ["y"]),
    ]
    weights = {"turns": np.array(2**62), "zero": np.array(0, np.float32)}
    onnx.save(model_of_nodes(nodes, {"x": (1, 4)}, {"y": (1, 4)}, weights), path)


@pytest.fixture
def endless(tmp_path: Path) -> list[object]:
    """A command that never ends by itself."""
    endless_model(tmp_path / "m.onnx")
    np.savez(tmp_path / "s.npz", x=np.ones((4, 4), np.float32), labels=np.arange(4))
    return ["check", tmp_path / "m.onnx", tmp_path / "m.onnx", "--eval", tmp_path / "s.npz"]


def started(line: list[object], folder: Path, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    (folder / "scratch").mkdir()
    process = subprocess.Popen(
        [*under, sys.executable, "-m", "rockpress", *map(str, line)],
        env={**os.environ, "TMPDIR": str(folder / "scratch")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr
    for said in process.stderr:
        if said.startswith("rockpress: baseline"):
            return process
    raise AssertionError("it has ended")


@pytest.mark.parametrize("group", [True, False], ids=["group", "command"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_is_deaf(
    number: signal.Signals, group: bool, endless: list[object], tmp_path: Path
) -> None:
    process = started(endless, tmp_path)
    time.sleep(1)  # it is in the loop by now
    below = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    assert (process.returncode, out, err) == (128 + number, "", f"{word}\n")
    assert below
    assert not any(child.is_running() for child in below)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_limit_of_time_holds_for_inference(endless: list[object]) -> None:
    done = in_a_process(*endless, "--timeout", 1, "--quiet")
    error, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert error == "error: stopped: ONNX Runtime ran the model on a sample for more than 1 s"
    assert hint == "hint: look for a loop in the model, or give it more time with --timeout"


def test_a_command_whose_worker_is_killed(endless: list[object], tmp_path: Path) -> None:
    process = started(endless, tmp_path)
    psutil.Process(process.pid).children()[0].kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: the process of the command was ended from outside (SIGKILL)" in err
    assert not list((tmp_path / "scratch").iterdir())


def test_nothing_goes_on_when_the_command_itself_is_killed(
    endless: list[object], tmp_path: Path
) -> None:
    process = started(endless, tmp_path)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(below, timeout=60)
    assert below
    assert not alive


def test_a_crash_of_native_code(tmp_path: Path) -> None:
    """A weight of five axes on an input of four: onnx reads beyond its end, or asserts."""
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1], group=4),
        helper.make_node("Conv", ["a", "w2"], ["b"], kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["b"], ["y"]),
    ]
    shapes = {"w1": (4, 1, 3, 3), "w2": (8, 4, 1, 1, 1)}
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    model = model_of_nodes(nodes, {"x": (1, 4, 8, 8)}, {"y": (1, 8, 1, 1)}, weights)
    onnx.save(model, tmp_path / "m.onnx")
    (tmp_path / "scratch").mkdir()
    done = in_a_process(
        "inspect", tmp_path / "m.onnx", env={**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert not list((tmp_path / "scratch").iterdir())


CRASH = """
import os, sys
from rockpress.cli.supervisor import supervised
from rockpress.core.files import replacing
from rockpress.core.native_work import native_work
from rockpress.core.scratch import scratch_folder
from pathlib import Path

def work():
    os.write(2, b"a word of a library")
    with scratch_folder() as folder, replacing(Path(sys.argv[1])), native_work("a library worked"):
        (folder / "file").touch()
        os.abort()

sys.exit(supervised(work))
"""


def test_what_a_crash_leaves_is_removed(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CRASH, tmp_path / "new" / "file"],
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: native code crashed when a library worked (SIGABRT)\n")
    assert list(tmp_path.rglob("*")) == [tmp_path / "scratch"]


STOPPED = """
import os, signal, sys
from rockpress.cli.supervisor import supervised
from rockpress.core.native_work import limit_to, native_work

def work():
    limit_to(float(sys.argv[2]))
    with native_work("a library worked"):
        {"worker": os.kill, "group": os.killpg}[sys.argv[1]](
            os.getpid() if sys.argv[1] == "worker" else os.getpgid(0), signal.SIGSTOP
        )
    return 0

sys.exit(supervised(work))
"""


@pytest.mark.parametrize(("victim", "limit"), [("worker", 1), ("group", 4)])
def test_time_while_stopped_does_not_count(victim: str, limit: float) -> None:
    line = [sys.executable, "-c", STOPPED, victim, str(limit)]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    command = psutil.Process(process.pid)
    while not (below := command.children()) or below[0].status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    time.sleep(limit + 2)
    os.killpg(process.pid, signal.SIGCONT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)


@pytest.mark.parametrize("group", [True, False], ids=["group", "command"])
@pytest.mark.parametrize(
    ("number", "word"),
    [
        (signal.SIGQUIT, "ended by SIGQUIT"),
        (signal.SIGUSR1, "ended by SIGUSR1"),
        (signal.SIGSEGV, "ended by SIGSEGV"),
        (signal.SIGRTMIN + 5, f"ended by signal {signal.SIGRTMIN + 5}"),
    ],
)
def test_any_other_signal(
    number: int, word: str, group: bool, endless: list[object], tmp_path: Path
) -> None:
    process = started(endless, tmp_path)
    (os.killpg if group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "", f"{word}\n")
    assert not list((tmp_path / "scratch").iterdir())


NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0,
    reason="needs unshare, and leave to use it",
)
def test_as_the_first_process_of_a_container(endless: list[object], tmp_path: Path) -> None:
    """The kernel keeps signals from such a one unless it waits for them."""
    process = started(endless, tmp_path, NAMESPACE)
    psutil.Process(process.pid).children()[0].terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (143, "", "terminated\n")
    assert not list((tmp_path / "scratch").iterdir())


SIGNALLED = """
import os, signal, time
os.kill(os.getpid(), signal.{name})
time.sleep(10)
"""


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated"), ("SIGHUP", 129, "hung up")],
)
def test_a_signal_while_it_is_imported(name: str, code: int, word: str, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(SIGNALLED.format(name=name))
    done = in_a_process("--version", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"{word}\n")


TALKATIVE = """
import os, sys
from rockpress.cli.streams import own_streams
from rockpress.cli.supervisor import supervised

def work():
    for descriptor in (1, 2):
        os.write(descriptor, b"a word of a library\\n")
    print("the result", flush=True)
    return 0

with own_streams():
    code = supervised(work, verbose="--verbose" in sys.argv)
sys.exit(code)
"""


def test_native_code_is_heard_only_when_asked_for() -> None:
    def said(*more: str) -> tuple[str, str]:
        line = [sys.executable, "-c", TALKATIVE, *more]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return done.stdout, done.stderr

    assert said() == ("the result\n", "")
    assert said("--verbose") == ("the result\n", 2 * "a word of a library\n")


def test_threads_are_a_core_each_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "99999")
    cap_threads()
    assert os.environ["OMP_NUM_THREADS"] == str(os.cpu_count()) == str(threads_allowed())
    monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
    cap_threads()
    assert os.environ["OMP_NUM_THREADS"] == "1,2"


DEAF = """
import sys, time
from rockpress.cli.handler import resumable, run
from rockpress.cli.supervisor import supervised

def work():
    with resumable("the same command goes on"):
        print("ready", flush=True)
        time.sleep(600)  # no signal is let in

sys.exit(supervised(lambda: run(work)))
"""


def test_the_hint_of_what_is_killed_is_given() -> None:
    line = [sys.executable, "-c", DEAF]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert err == "terminated\nhint: the same command goes on\n"
