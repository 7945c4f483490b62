"""What the runtime, the driver and our own programs say on a board, as errors with what to do.

The lines are as people quote them in reports; what ssh and adb say is in the tests of their links.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rockpress.board.faults import (
    adb_faults,
    agent_faults,
    connection_faults,
    place_faults,
    runtime_faults,
)
from rockpress.board.faults.agent_faults import agent_end
from rockpress.board.faults.fault import Fault
from rockpress.board.faults.runtime_faults import refusal
from rockpress.core.errors import BoardError
from rockpress.core.results.board_figures import BoardFacts, DeviceNode

TABLES = (adb_faults, agent_faults, connection_faults, place_faults, runtime_faults)
STAMP = "E RKNN: [01:19:04.510] "
RUNTIME = [
    # the agent's code, its text, what the runtime printed, the fault
    ("runtime-error", "rknn_init returned -1", "6, 1\nInvalid RKNN model version 6", "model-newer"),
    ("runtime-error", "rknn_init returned -6 (RKNN_ERR_MODEL_INVALID)", "6, 4\nInvalid RKNN model "
     "version 6\nrknn_init, load model failed!", "model-newer"),
    ("runtime-error", "rknn_init returned -1", "The rknn model does not match the RKNPU hardware "
     "version!", "other-chip"),
    ("runtime-error", "rknn_init returned -13 (RKNN_ERR_TARGET_PLATFORM_UNMATCH)", "",
     "other-chip"),
    ("runtime-error", "rknn_init returned -1", "failed to open rknpu module, need to insmod rknpu "
     "dirver!\nfailed to open rknn device!", "no-driver"),
    ("runtime-error", "rknn_init returned -1", "failed to open /dev/dri/renderD129: Permission "
     "denied", "no-permission"),
    ("runtime-error", "rknn_init returned -4 (RKNN_ERR_MALLOC_FAIL)", "failed to allocate handle, "
     "ret: -1, errno: 12, errstr: Cannot allocate memory", "no-memory"),
    ("memory", "the memory of the board is full", "", "no-memory"),
    ("runtime-error", "rknn_init returned -1", "failed to convert handle(1020) to fd, ret: -1, "
     "errno: 24, errstr: Too many open files", "too-many-files"),
    ("runtime-error", "rknn_run returned -1", "failed to submit!, op id: 1, op name: Conv:Conv_0, "
     "flags: 0x5", "npu-hung"),
    ("runtime-error", "rknn_run returned -2 (RKNN_ERR_TIMEOUT)", "", "npu-hung"),
    ("runtime-error", "rknn_init returned -3 (RKNN_ERR_DEVICE_UNAVAILABLE)", "", "npu-busy"),
    ("runtime-error", "rknn_init returned -10 (RKNN_ERR_DEVICE_UNMATCH)", "", "driver-old"),
    ("runtime-error", "rknn_init returned -6 (RKNN_ERR_MODEL_INVALID)", "Invalid RKNN format",
     "model-damaged"),
    ("runtime-error", "rknn_set_core_mask returned -1 (RKNN_ERR_FAIL)", "", "core-mask"),
    ("runtime-error", "rknn_inputs_set returned -8 (RKNN_ERR_INPUT_INVALID)", "",
     "runtime-parameter"),
    ("runtime-error", "rknn_query returned -5 (RKNN_ERR_PARAM_INVALID)", "query PERF_DETAIL needs "
     "another flag", "no-layer-times"),
    ("runtime-error", "rknn_run returned -1 (RKNN_ERR_FAIL)", "", "runtime-refused"),
    ("runtime-missing", "librknnrt.so: cannot open shared object file: No such file", "",
     "runtime-missing"),
    ("runtime-broken", "/usr/lib/librknnrt.so: wrong ELF class: ELFCLASS32", "",
     "runtime-of-other-arch"),
    ("runtime-broken", "/usr/lib/librknnrt.so: file too short", "", "runtime-broken"),
    ("runtime-broken", "/usr/lib/librknnrt.so: undefined symbol: rknn_run", "", "runtime-broken"),
    ("runtime-broken", "/lib/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by "
     "/usr/lib/librknnrt.so)", "", "runtime-dependency"),
    ("runtime-broken", "libgomp.so.1: cannot open shared object file: No such file or directory",
     "", "runtime-dependency"),
    ("runtime-odd", "a tensor with 4000000 axes", "", "runtime-odd"),
    ("input", "2 inputs were given, the model has 1", "", "input"),
    ("output-size", "output scores has 3 bytes, not 10", "", "output-size"),
    ("clocks", "/sys/class/devfreq/fdab0000.npu/governor: Permission denied", "", "clocks"),
    ("system", "[Errno 28] No space left on device", "", "system"),
    ("crash", "SIGSEGV", "", "runtime-crashed"),
    ("crash", "SIGKILL", "", "agent-killed"),
    ("unknown", "this agent cannot do 'fly'", "", "runtime-refused"),
]  # fmt: skip
ENDS = [
    (137, "", "agent-killed"),
    (-9, "", "agent-killed"),
    (139, "Segmentation fault", "runtime-crashed"),
    (127, "sh: 1: python3: not found", "no-python"),
    (1, "ModuleNotFoundError: No module named '_ctypes'", "no-module"),
    (1, "Traceback (most recent call last):\nNameError: name 'x' is not defined", "agent-ended"),
    (0, "", "agent-ended"),
]


def checked(error: BoardError, fault: str) -> str:
    assert error.fault == fault, error
    assert error.hint and "\n" not in str(error) + error.hint
    assert "{" not in f"{error}{error.hint}"
    assert "pi@orange" in str(error)
    return str(error)


@pytest.mark.parametrize(("code", "text", "printed", "fault"), RUNTIME)
def test_what_the_runtime_refuses(code: str, text: str, printed: str, fault: str) -> None:
    log = [STAMP + line for line in printed.splitlines()]
    error = refusal("ssh://pi@orange", code, text, log)
    checked(error, fault)
    assert text in error.log


@pytest.mark.parametrize(("code", "output", "fault"), ENDS)
def test_how_our_program_ends(code: int, output: str, fault: str) -> None:
    checked(agent_end("ssh://pi@orange", code, output), fault)


def test_versions_and_chip_are_in_the_error() -> None:
    facts = BoardFacts("3.11.2", chip="rk3566", runtime="1.4.0", driver="0.8.2")
    text, log = "rknn_init returned -1", [f"{STAMP}Invalid RKNN model version 6"]
    assert "(version 1.4.0)" in str(refusal("b", "runtime-error", text, log, facts))
    log = [f"{STAMP}The rknn model does not match the RKNPU hardware version!"]
    assert "(rk3566)" in str(refusal("b", "runtime-error", text, log, facts))


def test_a_driver_that_may_not_be_opened_is_no_missing_one() -> None:
    log = [f"{STAMP}failed to open rknpu module, need to insmod rknpu dirver!"]
    denied, other = DeviceNode("/dev/dri/renderD129", False), DeviceNode("/dev/dri/card0", True)
    for devices, fault in (((denied, other), "no-permission"), ((other,), "no-driver")):
        facts = BoardFacts("3.11.2", devices=devices)
        error = refusal("b", "runtime-error", "rknn_init returned -1", log, facts)
        assert error.fault == fault
        assert ("/dev/dri/renderD129" in str(error)) == (fault == "no-permission")


def test_words_of_a_board_are_no_format_and_not_endless() -> None:
    fault = Fault("a", "{board}: {line}", "do {nothing}")
    error = fault.error("b", "{board} {line} {0}" + 999 * "x ")
    assert str(error).startswith("b: {board} {line} {0}x")
    assert len(str(error)) < 200


def test_the_reason_after_a_long_path_is_shown() -> None:
    error = Fault("a", "it fails: {line}", "do").error("b", f"{99 * '/folder'}/file: no space")
    assert re.fullmatch(r"it fails: (/folder)+.*\.\.\..*/file: no space", str(error))
    assert len(str(error)) == len("it fails: ") + 160


def faults() -> dict[str, Fault]:
    values = [value for table in TABLES for value in vars(table).values()]
    flat = [each for value in values for each in (value if isinstance(value, tuple) else [value])]
    return {each.name: each for each in flat if isinstance(each, Fault)}


def test_each_fault_has_a_test_and_there_are_more_than_40() -> None:
    tests = "".join(path.read_text() for path in sorted(Path(__file__).parent.rglob("test_*.py")))
    assert len(faults()) > 40
    assert [name for name in faults() if f'"{name}"' not in tests] == []
