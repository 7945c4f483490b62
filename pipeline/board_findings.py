"""What a board has of all that a model needs there, as findings beside those of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..board.board_session import open_board
from ..board.faults.runtime_faults import RUNTIME_MISSING, RUNTIME_SOURCE
from ..convert.chips.targets import TARGET_NAMES
from ..convert.toolkit.environment_facts import Fact
from ..core.results.board_figures import BoardFacts, ClockReading, DeviceNode

_SECONDS = 30.0  # without a word of the board
# runtimes before it refuse every file of toolkit 2: "Invalid RKNN model version 6"
_OLDEST_RUNTIME = (1, 5, 2)
_USUAL_DRIVER = (0, 8, 8)
_LEAST_MEMORY = 64 * 10**6  # bytes; what a small model and the runtime take
_HOT, _BUSY = 80.0, 5.0  # °C, percent
_UNKNOWN, _ROOT_ALONE = "cannot be read", "can be read by root alone"


def board_findings(address: str, toolkit: str | None) -> tuple[list[Fact], BoardFacts]:
    """Ask a board what it has; ``toolkit`` is the version of rknn-toolkit2 here.

    Raises OptionError for no address, BoardError when it cannot be asked.
    """
    with open_board(address, _SECONDS) as board:
        facts = board.facts()
    return list(findings_of(facts, toolkit)), facts


def findings_of(facts: BoardFacts, toolkit: str | None) -> Iterator[Fact]:
    """Yield what is right with a board, and what is not."""
    yield _chip(facts)
    yield Fact("kernel", f"{facts.kernel or _UNKNOWN}, {facts.arch or 'processor unknown'}", True)
    yield _driver(facts)
    yield _permission(facts)
    yield _runtime(facts, toolkit)
    yield Fact("python", facts.python, True)
    yield Fact("rknn-toolkit-lite2", facts.toolkit_lite or "not there, and not needed", True)
    yield from _clocks(facts)
    yield from _left_clocks(facts)
    yield _load(facts)
    yield _memory(facts)
    yield _temperature(facts)
    sensors = [reading.sensor for reading in facts.conditions.power]
    yield Fact("power sensors", ", ".join(sensors) or "none", True)


def _chip(facts: BoardFacts) -> Fact:
    name = facts.board or "a board that does not say its name"
    is_known = (facts.chip or "").lower().startswith(TARGET_NAMES)
    mend = "" if is_known else f"these have an NPU that is supported: {', '.join(TARGET_NAMES)}"
    return Fact("board", f"{name}, {facts.chip or 'no Rockchip chip'}", is_known, mend)


def _driver(facts: BoardFacts) -> Fact:
    if facts.driver is None:
        return Fact("driver", _ROOT_ALONE if _nodes(facts) else _UNKNOWN, True)
    is_old = _numbers(facts.driver) < _USUAL_DRIVER
    note = "0.8.8 or later is advised: a newer kernel has it" if is_old else ""
    return Fact("driver", facts.driver, True, note=note)


def _permission(facts: BoardFacts) -> Fact:
    denied = [device.path for device in facts.devices if not device.is_usable]
    usable = [node.path for node in _nodes(facts) if node.is_usable]
    if usable:
        note = f"may not be opened by this user: {', '.join(denied)}" if denied else ""
        return Fact("permission", f"may open {', '.join(usable)}", True, note=note)
    if denied:
        mend = "add the user there to the group that owns it (render or video), and log in anew"
        return Fact("permission", f"may not open {', '.join(denied)}", False, mend)
    mend = "use a kernel of Rockchip's with CONFIG_ROCKCHIP_RKNPU, or load its module"
    return Fact("permission", "there is no device of the NPU's driver", False, mend)


def _nodes(facts: BoardFacts) -> list[DeviceNode]:
    """Return the files of the NPU's driver."""
    return [node for node in facts.devices if not node.path.startswith("/dev/dma_heap")]


def _runtime(facts: BoardFacts, toolkit: str | None) -> Fact:
    if facts.runtime_path is None:
        return Fact("librknnrt.so", "not there", False, RUNTIME_MISSING.hint)
    state = f"{facts.runtime or 'version unknown'} in {facts.runtime_path}"
    version = _numbers(facts.runtime or "")
    if version and version < _OLDEST_RUNTIME:
        return Fact("librknnrt.so", state, False, f"copy a newer one there, from {RUNTIME_SOURCE}")
    is_older = bool(version) and toolkit is not None and version < _numbers(toolkit)
    note = f"older than rknn-toolkit2 {toolkit} here, whose files it may refuse" if is_older else ""
    return Fact("librknnrt.so", state, True, note=note)


def _clocks(facts: BoardFacts) -> Iterator[Fact]:
    conditions = facts.conditions
    named = [("NPU", conditions.npu), ("DDR", conditions.ddr)]
    named += [("CPU", reading) for reading in conditions.cpu]
    for name, reading in named:
        if reading is not None:
            note = "below its maximum now" if name == "NPU" and reading.is_below_maximum else ""
            yield Fact(f"clock of the {name}", _clock(reading), True, note=note)


def _left_clocks(facts: BoardFacts) -> Iterator[Fact]:
    """Yield what a measurement that was killed has left, where it has."""
    if facts.clocks_left:
        mend = f"as root, write it into each: {'; '.join(facts.clocks_left)}"
        yield Fact("clocks left set", "by a measurement that was killed", False, mend)
    elif facts.clocks_put_back:
        count = len(facts.clocks_put_back)
        state = f"{count} put back now, which a measurement that was killed had set"
        yield Fact("clocks left set", state, True)


def _clock(reading: ClockReading) -> str:
    most = "" if reading.max_hz is None else f" of {reading.max_hz / 1e6:.0f}"
    now = _UNKNOWN if reading.hz is None else f"{reading.hz / 1e6:.0f}{most} MHz"
    return f"{now}, governor {reading.governor or 'unknown'}"


def _load(facts: BoardFacts) -> Fact:
    load = facts.conditions.npu_load
    if load is None:
        return Fact("load of the NPU", _ROOT_ALONE if _nodes(facts) else _UNKNOWN, True)
    note = "something else uses it: what is measured will be slower" if load > _BUSY else ""
    return Fact("load of the NPU", f"{load:.0f} %", True, note=note)


def _memory(facts: BoardFacts) -> Fact:
    free, total = facts.available_bytes, facts.memory_bytes
    if free is None:
        return Fact("memory", _UNKNOWN, True)
    of = "" if total is None else f" of {total / 1e9:.1f} GB"
    enough = free >= _LEAST_MEMORY
    mend = "" if enough else "end other programs there"
    return Fact("memory", f"{free / 1e9:.2f} GB available{of}", enough, mend)


def _temperature(facts: BoardFacts) -> Fact:
    zones = facts.conditions.temperatures
    if not zones:
        return Fact("temperature", _UNKNOWN, True)
    zone = max(zones, key=lambda name: zones[name])
    note = "it may slow down: let it cool first" if zones[zone] > _HOT else ""
    return Fact("temperature", f"{zones[zone]:.0f} °C at most ({zone})", True, note=note)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers a version begins with.

    >>> _numbers("2.3.0b1"), _numbers("unknown")
    ((2, 3, 0), ())
    """
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
