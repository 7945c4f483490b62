"""The agent, under the Pythons that are here, with a stand-in for the runtime of the NPU."""

from __future__ import annotations

import ast
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import rockpress.board.agent
from rockpress.board.agent import librknnrt, worker
from rockpress.board.agent.wire import Wire
from rockpress.board.agent_program import agent_program
from rockpress.board.board_session import BenchSettings, BoardSession
from rockpress.board.links.local import LocalLink
from rockpress.core.errors import BoardError
from rockpress.core.results.board_figures import BoardConditions
from stand_in_board import NPU, StandInBoard, built_runtime

AGENT = sorted(Path(rockpress.board.agent.__file__).parent.glob("*.py"))
PIXELS = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
SCORES = np.arange(-5, 5, dtype=np.int8).reshape(1, 10)
# of other versions, where pyenv has them; the oldest that is promised among them
PYENV = Path.home() / ".pyenv" / "versions"
PYTHONS = [sys.executable, *map(str, sorted(PYENV.glob("3.[7-9].*/bin/python")))]
CALLS = [
    *("rknn_init", "rknn_query_0", "rknn_query_1", "rknn_query_2", "rknn_query_5"),
    *("rknn_inputs_set", "rknn_run", "rknn_outputs_get", "rknn_outputs_release"),
]


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        return False
    return True


def is_running(pid: int) -> bool:
    """Whether a process is there that is not merely waiting for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("file", AGENT, ids=lambda file: file.name)
def test_its_syntax_is_that_of_python_3_7(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 7))


def test_it_is_one_file_and_the_same_each_time() -> None:
    assert agent_program() == agent_program()
    with zipfile.ZipFile(BytesIO(agent_program())) as archive:
        assert {f"agent/{file.name}" for file in AGENT} < set(archive.namelist())


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (librknnrt.InOutNum, 8),
        (librknnrt.TensorAttr, 376),
        (librknnrt.PerfDetail, 16),
        (librknnrt.PerfRun, 8),
        (librknnrt.SdkVersion, 512),
        (librknnrt.MemSize, 64),
        (librknnrt.Input, 32),
        (librknnrt.Output, 24),
    ],
)
def test_structures_have_the_sizes_of_the_header(
    structure: type[ctypes.Structure], size: int
) -> None:
    assert ctypes.sizeof(structure) == size


@pytest.mark.parametrize("python", PYTHONS)
def test_it_runs_a_model(board: StandInBoard, model: Path, python: str) -> None:
    answers = board.answer([PIXELS], [SCORES])
    board.set(answers=answers, weight_bytes=1000, internal_bytes=200, dma_bytes=3000)
    with LocalLink(python) as link:
        session = BoardSession(link, timeout=20)
        loaded = session.load(model)
        (stored,) = session.infer([PIXELS])
        (real,) = session.infer([PIXELS], as_float=True)
        timings = session.bench(BenchSettings(runs=2, rounds=3, drift_runs=2, energy_seconds=0.05))
        session.close()
    assert timings.run.n == 6 and timings.drift is not None
    assert (loaded.inputs[0].shape, loaded.inputs[0].format) == ((1, 8, 8, 3), "NHWC")
    assert (loaded.api_version, loaded.driver_version) == ("2.3.2 (stand-in)", "0.9.8")
    assert loaded.memory is not None and loaded.memory.dma_bytes == 3000
    assert stored.array.dtype == np.int8 and (stored.array == SCORES).all()
    assert (stored.scale, stored.zero_point) == (0.5, 3)
    assert (real.array == (SCORES.astype(np.float32) - 3) * 0.5).all() and real.scale is None


def test_facts_are_those_of_the_files(board: StandInBoard, session: BoardSession) -> None:
    facts = session.facts()
    assert (facts.board, facts.chip) == ("Stand-in Board", "rk3588")
    assert facts.compatible == ("maker,stand-in", "rockchip,rk3588")
    assert (facts.runtime, facts.driver) == ("2.3.2", "0.9.8")
    assert facts.memory_bytes == 8_000_000 * 1024
    assert [(node.path, node.is_usable) for node in facts.devices] == [
        ("/dev/dri/renderD129", True)
    ]
    state = facts.conditions
    assert state.npu is not None and state.npu.governor == "rknpu_ondemand"
    assert (state.npu.hz, state.npu.max_hz) == (10**9, 10**9)
    assert state.cpu[0].max_hz == 1_800_000_000
    assert state.ddr is not None and state.ddr.hz == 2_112_000_000
    assert (state.npu_load, state.temperatures) == (7, {"npu-thermal": 41.5})


@pytest.mark.usefixtures("board")
def test_the_version_of_the_toolkit_lite_is_that_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rknn_toolkit_lite2-2.5.0.dist-info").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with LocalLink() as link:
        assert BoardSession(link, timeout=20).facts().toolkit_lite == "2.5.0"


def test_what_cannot_be_read_is_not_guessed(board: StandInBoard, session: BoardSession) -> None:
    for path in sorted(board.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    facts = session.facts()
    assert {facts.board, facts.chip, facts.driver, facts.memory_bytes} == {None}
    assert facts.conditions == BoardConditions()


@pytest.mark.parametrize("text", ["", "-5", "fast", "9" * 5000, "\0\1\2", "1e9", "17;17"])
def test_a_file_that_says_nonsense_is_one_that_cannot_be_read(
    board: StandInBoard, session: BoardSession, text: str
) -> None:
    for name in (f"{NPU}/cur_freq", f"{NPU}/max_freq", f"{NPU}/available_frequencies"):
        board.write(name, text)
    board.write("/sys/class/hwmon/hwmon0/power1_input", text)
    state = session.facts().conditions
    assert state.npu is not None and state.npu.hz is state.npu.max_hz is None
    assert state.power == ()


def test_power_is_measured_or_a_product(board: StandInBoard, session: BoardSession) -> None:
    board.write("/sys/class/hwmon/hwmon0/name", "ina226\n")
    board.write("/sys/class/hwmon/hwmon0/power1_input", "2500000\n")
    board.write("/sys/class/hwmon/hwmon0/power1_label", "npu\n")
    board.write("/sys/class/hwmon/hwmon1/curr1_input", "400\n")
    board.write("/sys/class/hwmon/hwmon1/in1_input", "5000\n")
    readings = session.facts().conditions.power
    assert [(reading.sensor, reading.watts) for reading in readings] == [
        ("ina226 power1 npu", 2.5),
        ("hwmon1 power1", 2.0),
    ]


def test_the_version_is_that_of_the_library_file(
    board: StandInBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_LIBRKNNRT", str(built_runtime("1.6.0")))
    with LocalLink() as link:
        assert BoardSession(link).facts().runtime == "1.6.0"


@pytest.mark.parametrize("call", CALLS)
def test_every_status_of_every_call_is_told(
    board: StandInBoard, session: BoardSession, model: Path, call: str
) -> None:
    step = "rknn_query" if call.startswith("rknn_query") else call
    for status in range(-13, 0):
        board.set(**{f"fail_{call}": status, f"print_{call}": f"E RKNN: reason {status}"})
        with pytest.raises(BoardError, match=rf"{step} returned {status} \(RKNN_ERR_") as caught:
            session.load(model)
            session.infer([PIXELS])
        assert f"E RKNN: reason {status}" in caught.value.log
    board.set()
    session.load(model)
    assert len(session.infer([PIXELS])) == 1, "it goes on after an error"


def test_a_library_that_is_none(board: StandInBoard, model: Path, tmp_path: Path) -> None:
    for content, fault in ((b"no library", "runtime-broken"), (None, "runtime-missing")):
        path = tmp_path / "librknnrt.so"
        path.write_bytes(content) if content else path.unlink()
        with pytest.MonkeyPatch.context() as patch, LocalLink() as link:
            patch.setenv("ROCKPRESS_LIBRKNNRT", str(path))
            session = BoardSession(link)
            with pytest.raises(BoardError) as caught:
                session.load(model)
        assert caught.value.fault == fault


def test_an_input_of_another_shape_is_refused(session: BoardSession, model: Path) -> None:
    session.load(model)
    with pytest.raises(BoardError, match="images"):
        session.infer([PIXELS[:, :7]])
    with pytest.raises(BoardError, match="2 inputs were given"):
        session.infer([PIXELS, PIXELS])


def test_planes_are_turned_to_what_the_model_has(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.set(answers=board.answer([PIXELS], [SCORES]))
    session.load(model)
    (output,) = session.infer([PIXELS.transpose(0, 3, 1, 2)])
    assert (output.array == SCORES).all()


def test_an_output_of_another_size_is_refused(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    session.load(model)
    board.set(more_output_bytes=1)
    with pytest.raises(BoardError, match="has 11 bytes, not 10"):
        session.infer([PIXELS])


@pytest.mark.parametrize(("way", "word"), [("crash", "SIGSEGV"), ("exit", "exit status 7")])
def test_the_end_of_the_runtime_is_told_with_its_last_words(
    board: StandInBoard, session: BoardSession, model: Path, way: str, word: str
) -> None:
    session.load(model)
    board.set(**{way: "rknn_run", "print_rknn_inputs_set": "W RKNN: last words"})
    with pytest.raises(BoardError, match=word) as caught:
        session.infer([PIXELS])
    assert "W RKNN: last words" in caught.value.log


def test_a_runtime_that_hangs_is_not_waited_for(board: StandInBoard, model: Path) -> None:
    with LocalLink() as link:
        session = BoardSession(link, timeout=20)  # to start takes long on a machine that is busy
        session.load(model)
        session._channel._timeout = 2
        board.set(hang="rknn_run")
        with pytest.raises(BoardError) as caught:
            session.infer([PIXELS])
    assert caught.value.fault == "board-hangs"
    assert not Path(link.folder).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_while_native_code_hangs(
    board: StandInBoard, link: LocalLink, model: Path, number: int
) -> None:
    session = BoardSession(link, timeout=20)
    session.load(model)
    board.set(hang="rknn_run", print_rknn_run="it runs")
    process = link._processes[0]
    (worker,) = children_of(process.pid)
    asking = threading.Thread(target=pytest.raises, args=(BoardError, session.infer, [PIXELS]))
    asking.start()
    wait_until(lambda: "it runs" in Path(link.folder, "agent.log").read_text())
    os.kill(process.pid, number)
    asking.join()
    assert has_ended(process)
    assert not Path(link.folder).exists() and not is_running(worker)


def test_its_folder_goes_when_the_other_end_does(
    board: StandInBoard, link: LocalLink, model: Path
) -> None:
    session = BoardSession(link, timeout=20)
    session.load(model)
    process = link._processes[0]
    assert process.stdin is not None
    process.stdin.close()
    assert has_ended(process) and not Path(link.folder).exists()


def test_its_worker_goes_with_it(board: StandInBoard, link: LocalLink) -> None:
    BoardSession(link, timeout=20).facts()
    process = link._processes[0]
    (worker,) = children_of(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(worker))


def test_clocks_are_put_back_after_any_end(
    board: StandInBoard, link: LocalLink, model: Path
) -> None:
    session = BoardSession(link, timeout=20)
    session.load(model)
    governor = board.path(f"{NPU}/governor")
    session.set_clocks()
    assert governor.read_text() == "performance"
    board.set(crash="rknn_run")
    with pytest.raises(BoardError):
        session.infer([PIXELS])
    assert has_ended(link._processes[0])
    assert governor.read_text() == "rknpu_ondemand"
    policy = board.path("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor")
    assert policy.read_text() == "ondemand"


def test_an_older_python_is_named(tmp_path: Path) -> None:
    program = tmp_path / "agent.zip"
    program.write_bytes(agent_program())
    old = sorted(PYENV.glob("[2-3].[2-7].*/bin/python"))
    for python in (path for path in old if "3.7" not in str(path)):
        done = subprocess.run([python, program], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and '"agent": 1' in done.stdout


def test_it_ends_when_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_FIRST_REQUEST", 0.05)
    asked, asking = os.pipe()
    worker.Worker(Wire(asked, asked), str(tmp_path)).serve()
    os.close(asking)
    os.close(asked)


def test_what_a_shell_prints_first_is_passed_over(board: StandInBoard, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "Welcome to the board"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    with LocalLink(str(python)) as link:
        assert BoardSession(link).facts().chip == "rk3588"


def test_an_old_python_is_an_error_that_says_so(board: StandInBoard, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh\necho '{"agent": 1, "python": "3.6.15"}'\n""")
    python.chmod(0o755)
    with LocalLink(str(python)) as link, pytest.raises(BoardError, match=r"Python 3\.6\.15"):
        BoardSession(link)
