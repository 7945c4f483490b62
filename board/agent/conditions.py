"""The state of the board at one moment: clocks, load, temperatures, power."""

from __future__ import annotations

import re
from typing import Any

from .board_files import matching, read_number, read_text, whole_number

NPU, DDR = "/sys/class/devfreq/*npu*", "/sys/class/devfreq/dmc*"
POLICIES = "/sys/devices/system/cpu/cpufreq/policy*"
_ZONES = "/sys/class/thermal/thermal_zone*"
_SENSORS = "/sys/class/hwmon/hwmon*"
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
# far from what any board can have: a file that says so is broken
_HOTTEST, _MOST_WATTS = 1000.0, 10000.0
_FASTEST = 10**12


def conditions() -> dict[str, Any]:
    """Return everything that can be read of it."""
    npu = [devfreq(path) for path in matching(NPU)[:1]]
    ddr = [devfreq(path) for path in matching(DDR)[:1]]
    return {
        "npu": npu[0] if npu else None,
        "cpu": [cpufreq(path) for path in matching(POLICIES)],
        "ddr": ddr[0] if ddr else None,
        "npu_load": npu_load(),
        "temperatures": temperatures(),
        "power": power(),
    }


def devfreq(path: str) -> dict[str, Any]:
    """Return a clock that devfreq keeps; its maximum is that of the chip, not a limit."""
    steps = (read_text(path + "/available_frequencies") or "").split()
    possible = [number for number in map(whole_number, steps) if number is not None]
    return _clock(
        path,
        read_text(path + "/governor"),
        read_number(path + "/cur_freq"),
        max(possible, default=read_number(path + "/max_freq")),
    )


def cpufreq(path: str) -> dict[str, Any]:
    """Return the clock of some cores of the CPU."""
    now, most = read_number(path + "/scaling_cur_freq"), read_number(path + "/cpuinfo_max_freq")
    return _clock(
        path,
        read_text(path + "/scaling_governor"),
        None if now is None else 1000 * now,
        None if most is None else 1000 * most,
    )


def _clock(path: str, governor: str | None, hz: int | None, most: int | None) -> dict[str, Any]:
    return {
        "name": path.rpartition("/")[2],
        "governor": governor,
        "hz": hz if hz is not None and 0 < hz < _FASTEST else None,
        "max_hz": most if most is not None and 0 < most < _FASTEST else None,
    }


def npu_load() -> float | None:
    """Return the load of the busiest core in percent; only root may read it."""
    text = read_text("/sys/kernel/debug/rknpu/load") or read_text("/proc/rknpu/load") or ""
    loads = [float(percent) for percent in _PERCENT.findall(text)]
    return max((load for load in loads if load <= 100), default=None)


def temperatures() -> dict[str, float]:
    """Return °C by the name of the zone."""
    by_zone = {}
    for path in matching(_ZONES):
        value = read_number(path + "/temp")
        if value is not None and abs(value) < 1000 * _HOTTEST:
            by_zone[read_text(path + "/type") or path.rpartition("/")[2]] = value / 1000
    return by_zone


def power() -> list[dict[str, Any]]:
    """Return what each sensor of power measures, in watts.

    A sensor that has a current and a voltage, but no power, gives their product.
    """
    readings = []
    for path in matching(_SENSORS):
        chip = read_text(path + "/name") or path.rpartition("/")[2]
        for number in range(1, 9):
            watts = _watts(path, number)
            if watts is not None and 0 <= watts < _MOST_WATTS:
                label = read_text(f"{path}/power{number}_label") or ""
                sensor = " ".join(filter(None, (chip, f"power{number}", label)))
                readings.append({"sensor": sensor, "watts": watts})
    return readings


def _watts(path: str, number: int) -> float | None:
    microwatts = read_number(f"{path}/power{number}_input")
    if microwatts is not None:
        return microwatts / 1e6
    milliamperes = read_number(f"{path}/curr{number}_input")
    millivolts = read_number(f"{path}/in{number}_input")
    if milliamperes is None or millivolts is None:
        return None
    return milliamperes * millivolts / 1e6
