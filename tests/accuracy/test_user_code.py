"""Whatever a user's metric does is an error that names it, and stdout is not its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

import graphs
from commands import COMMAND, Run
from rockpress.accuracy.metrics.metric_table import find_metric
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.errors import Interrupted, OptionError

MODULE = """
import atexit, builtins, ctypes, os, struct, subprocess, sys, threading, time, warnings, zlib
from rockpress.accuracy.metrics.classification import TopK
from rockpress.accuracy.metrics.measurement import Sums

class Own(Exception):
    def __str__(self): raise RuntimeError("no words")

class Base(BaseException): pass

def leaves(outputs, labels): sys.exit(0)
def gate(outputs, labels): sys.exit(4)
def signalled(outputs, labels): raise SystemExit(143)
def plain(outputs, labels): raise Exception("boom")
def own(outputs, labels): raise Own
def base(outputs, labels): raise Base("base")
def eof(outputs, labels): raise EOFError
def stop(outputs, labels): raise StopIteration
def unpacks(outputs, labels): struct.unpack("I", b"")
def inflates(outputs, labels): zlib.decompress(b"x")
def deep(outputs, labels): return deep(outputs, labels)
def generator(outputs, labels): raise GeneratorExit

def vanishes(outputs, labels): os._exit(0)
def vanishes_oddly(outputs, labels): os._exit(77)

def forks(outputs, labels):
    if not os.path.exists("forked"):  # once: copies that went on would fork at each call
        open("forked", "w").close()
        os.fork()
    return [1.0] * len(labels)

def starts(outputs, labels):
    subprocess.Popen(["sleep", "321.5"], start_new_session=True)
    raise ValueError("after that")

def writes(outputs, labels):
    outputs[0] -= outputs[0].max(1, keepdims=True)

def labels_written(outputs, labels):
    labels[:] = 0

def elsewhere(outputs, labels):
    os.chdir("/")
    return [1.0] * len(labels)

def silences(outputs, labels):
    sys.stdout = sys.stderr = sys.excepthook = None
    return [1.0] * len(labels)

def forgets(outputs, labels):
    for shared in (sys.path, sys.meta_path, sys.path_hooks, os.environ, sys.modules):
        shared.clear()
    return [1.0] * len(labels)

def replaces(outputs, labels):
    sys.path, sys.modules, os.environ = None, {}, {}
    return [1.0] * len(labels)

def spoils(outputs, labels):
    sys.modules.update(numpy=None, json=None)
    del builtins.print
    sys.setrecursionlimit(60)
    warnings.simplefilter("error")
    return [1.0] * len(labels)

def closes(outputs, labels):
    os.closerange(3, 100)
    return [1.0] * len(labels)

def closes_all(outputs, labels):
    os.closerange(0, 100)
    return [1.0] * len(labels)

def closes_stderr(outputs, labels):
    sys.stderr.close()
    raise ValueError("after that")

def presses(outputs, labels): raise KeyboardInterrupt

def late(outputs, labels):
    atexit.register(os._exit, 0)
    raise ValueError("and then 0")

def crashes_late(outputs, labels):
    atexit.register(ctypes.string_at, 0)
    return [1.0] * len(labels)

def never_leaves(outputs, labels):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return [1.0] * len(labels)

def nothing(outputs, labels): return [0.0] * len(labels)

def prints(outputs, labels):
    print("from print")
    sys.__stdout__.write("from __stdout__\\n")
    sys.__stdout__.flush()
    os.write(1, b"from descriptor 1\\n")
    subprocess.run(["echo", "from a child"])
    sys.stdout.close()
    return [1.0] * len(labels)

class Raises(TopK):
    def measure(self, predictions, labels): raise Own

class Empty(TopK):
    def measure(self, predictions, labels): return None

class Formula(TopK):
    def measure(self, predictions, labels):
        def leaves(sums): sys.exit(0)
        return Sums([1.0] * len(labels), [[1.0]] * len(labels), leaves)

class Init(TopK):
    def __init__(self): sys.exit(0)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, samples and the module above, on the path of Python."""
    onnx.save(graphs.small_cnn(), tmp_path / "m.onnx")
    random = np.random.default_rng(0)
    images = random.normal(size=(8, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "s.npz", images=images, labels=random.integers(0, 10, 8))
    (tmp_path / "odd_metrics.py").write_text(MODULE)
    (tmp_path / "a_script.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "a_printer.py").write_text("print('hello')\nraise SystemExit\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("odd_metrics", "a_script", "a_printer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def check_with(metric: str) -> list[str]:
    line = ["check", "m.onnx", "m.onnx", "--eval", "s.npz", "-q", "--metric", metric]
    return [*line, "--min-retention", "0.5", "--report", "r.json"]


NAMES = "leaves gate signalled plain own base eof stop unpacks inflates deep generator".split()
NAMES += ["writes", "labels_written"]
CLASSES = ["Raises", "Empty", "Formula", "Init"]


@pytest.mark.parametrize("name", [*NAMES, *CLASSES])
def test_a_metric_that_fails_in_any_way(name: str, place: Path, rockpress: Run) -> None:
    code, out, err = rockpress(*check_with(f"odd_metrics:{name}"))
    first, hint = err.splitlines()[-2:]
    assert (code, out) == (2, ""), err
    assert first.startswith(f"error: the metric 'odd_metrics:{name}' failed: ")
    assert hint.startswith("hint: ")
    assert not (place / "r.json").exists()


@pytest.mark.parametrize("module", ["a_script", "a_printer"])
def test_a_module_that_ends_the_program(module: str, place: Path, rockpress: Run) -> None:
    code, out, err = rockpress(*check_with(f"{module}:m"))
    said = f"error: the metric '{module}:m' cannot be imported: SystemExit"
    assert (code, out) == (2, "")
    assert err.splitlines()[-2].startswith(said)
    assert "__main__" in err.splitlines()[-1]
    assert not (place / "r.json").exists()


@pytest.mark.parametrize(("name", "code"), [("vanishes", 0), ("vanishes_oddly", 77)])
def test_a_metric_that_ends_the_process_is_no_success(name: str, code: int, place: Path) -> None:
    words = [*COMMAND, *check_with(f"odd_metrics:{name}")]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: the command's process ended itself with code {code} ")
    assert not (place / "r.json").exists()


def test_a_metric_cannot_make_its_failure_a_success_when_python_ends(place: Path) -> None:
    words = [*COMMAND, *check_with("odd_metrics:late")]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the metric 'odd_metrics:late' failed: ValueError")


@pytest.mark.parametrize("name", ["crashes_late", "never_leaves"])
def test_a_result_that_is_told_stays_when_python_does_not_end(name: str, place: Path) -> None:
    words = [*COMMAND, *check_with(f"odd_metrics:{name}"), "--json"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (place / "r.json").read_text()


def test_a_metric_that_raises_what_ctrl_c_does(place: Path) -> None:
    words = [*COMMAND, *check_with("odd_metrics:presses")]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the metric 'odd_metrics:presses' failed: Keyboard")


@pytest.mark.parametrize("name", ["elsewhere", "silences", "forgets", "replaces", "spoils"])
def test_the_process_is_what_it_was_after_a_metric(name: str, place: Path) -> None:
    words = [*COMMAND, *check_with(f"odd_metrics:{name}"), "--json"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning: 8 samples are few" in done.stderr
    assert done.stdout == (place / "r.json").read_text()


@pytest.mark.parametrize("name", ["closes", "closes_all"])
@pytest.mark.parametrize("more", [[], ["--verbose"]])
def test_a_metric_that_closes_the_files_of_others_is_no_bug(
    name: str, more: list[str], place: Path
) -> None:
    """Its stderr is one of them, so that the process that waits for it has to say it."""
    words = [*COMMAND, *check_with(f"odd_metrics:{name}"), *more]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error: ", "hint: "))]
    assert lines[-2:] == [
        "error: other code closed a file that the command has open",
        "hint: a metric of your own must close only what it opened",
    ]
    assert not (place / "r.json").exists()


def test_a_metric_that_closes_stderr_does_not_hide_its_failure(place: Path) -> None:
    words = [*COMMAND, *check_with("odd_metrics:closes_stderr")]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error == "error: the metric 'odd_metrics:closes_stderr' failed: ValueError: after that"
    assert hint.startswith("hint: ")


def test_a_copy_that_a_metric_forks_does_not_go_on(place: Path) -> None:
    words = [*COMMAND, *check_with("odd_metrics:forks"), "--json"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (place / "r.json").read_text()


def test_what_a_metric_starts_ends_with_the_command(place: Path) -> None:
    words = [*COMMAND, *check_with("odd_metrics:starts")]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    processes = psutil.process_iter(["cmdline", "cwd"])  # of all tests on this machine
    here = (process.info for process in processes if process.info["cwd"] == str(place))
    assert not any("321.5" in (process["cmdline"] or ()) for process in here)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_stderr_does_not_change_the_code(place: Path) -> None:
    with open("/dev/full", "w") as full:
        words = [*COMMAND, *check_with("odd_metrics:plain")]
        done = subprocess.run(words, cwd=place, stdout=subprocess.PIPE, stderr=full)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize(
    ("more", "heard"),
    [([], {"print"}), (["--verbose"], {"print", "__stdout__", "descriptor 1", "a child"})],
)
def test_what_a_metric_prints_is_not_on_stdout(
    more: list[str], heard: set[str], place: Path
) -> None:
    words = [*COMMAND, *check_with("odd_metrics:prints"), "--json", *more]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (place / "r.json").read_text()
    sources = ("print", "__stdout__", "descriptor 1", "a child")
    assert {source for source in sources if f"from {source}\n" in done.stderr} == heard


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Interrupted])
def test_what_stops_the_command_goes_through(
    stop: type[BaseException], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise stop

    metric = find_metric("odd_metrics:plain")
    monkeypatch.setitem(metric.__dict__, "function", stopped)
    from rockpress.calibration_data.sources.labels import Labels

    with pytest.raises(stop):
        metric.measure(metric.predict([np.zeros((2, 4))]), Labels("class", np.zeros(2, np.int64)))
    assert sys.stdout is not None and not sys.stdout.closed


def test_a_signal_ends_a_metric(place: Path) -> None:
    text = (
        "import time\ndef m(outputs, labels):\n    open('begun', 'w').close()\n    time.sleep(60)\n"
    )
    (place / "slow_metric.py").write_text(text)
    process = subprocess.Popen([*COMMAND, *check_with("slow_metric:m")], cwd=place)
    while not (place / "begun").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 128 + signal.SIGINT
    assert not (place / "r.json").exists()


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_a_ratio_to_nothing_is_told_before_anything_is_built(place: Path, rockpress: Run) -> None:
    line = ["run", "m.onnx", "--calib", "s.npz", "--eval", "s.npz", "--min-retention", "0.5"]
    code, out, err = rockpress(*line, "-o", "out", "--metric", "odd_metrics:nothing")
    assert (code, out) == (2, ""), err
    assert "cannot be checked: a metric is not positive" in err
    assert "rockpress: quantize" not in err and not (place / "out").exists()


def test_a_metric_that_is_no_metric() -> None:
    with pytest.raises(OptionError, match="'math:pi' is no function but float"):
        find_metric("math:pi")
