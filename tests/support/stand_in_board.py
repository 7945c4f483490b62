"""A board that is a folder of files, with a stand-in for the runtime that does what a test says."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rockpress.core.types import Array

STAND_IN_RUNTIME = Path(__file__).with_name("stand_in_runtime.c")
_FILES = {
    "/proc/device-tree/model": "Stand-in Board\0",
    "/proc/device-tree/compatible": "maker,stand-in\0rockchip,rk3588\0",
    "/proc/meminfo": "MemTotal:        8000000 kB\nMemAvailable:    6000000 kB\n",
    "/dev/dri/renderD129": "",
    "/sys/kernel/debug/rknpu/version": "RKNPU driver: v0.9.8\n",
    "/sys/kernel/debug/rknpu/load": "NPU load:  Core0:  0%, Core1:  7%, Core2:  0%,\n",
    "/sys/class/devfreq/fdab0000.npu/governor": "rknpu_ondemand\n",
    "/sys/class/devfreq/fdab0000.npu/cur_freq": "1000000000     \n",
    "/sys/class/devfreq/fdab0000.npu/max_freq": "1000000000\n",
    "/sys/class/devfreq/fdab0000.npu/available_frequencies": "300000000 1000000000\n",
    "/sys/class/devfreq/dmc/governor": "dmc_ondemand\n",
    "/sys/class/devfreq/dmc/cur_freq": "2112000000\n",
    "/sys/class/devfreq/dmc/max_freq": "2112000000\n",
    "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
    "/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1800000\n",
    "/sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1800000\n",
    "/sys/class/thermal/thermal_zone0/type": "npu-thermal\n",
    "/sys/class/thermal/thermal_zone0/temp": "41500\n",
}
NPU = "/sys/class/devfreq/fdab0000.npu"
_FNV_BASIS, _FNV_PRIME, _64_BITS = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


class StandInBoard:
    """An RK3588 whose files lie under ``root``; ``environment`` is what the agent there has.

    The settings of its runtime are keys of stand_in_runtime.c; those of a key that repeats, such as
    ``output``, are a list. They are read at every call, so a test may change them at any time.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self._settings = folder / "root", folder / "settings"
        self._answers = folder / "answers"
        self._answers.mkdir(parents=True)
        self._of_models: dict[str, list[str]] = {}
        for path, text in _FILES.items():
            self.write(path, text)
        self.set()
        self.environment = {
            "ROCKPRESS_BOARD_ROOT": str(self.root),
            "ROCKPRESS_LIBRKNNRT": str(stand_in_runtime()),
            "ROCKPRESS_STAND_IN": str(self._settings),
        }

    def path(self, name: str) -> Path:
        """Return where a file of the board lies."""
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the board."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def set(self, **settings: object) -> None:
        """Set all that the runtime does; what is not given is as it is by itself."""
        tensors = {
            "input": ["images int8 NHWC 1x8x8x3 0.00392 -128"],
            "output": ["scores int8 UNDEFINED 1x10 0.5 3"],
        }
        lines = []
        for key, value in {**tensors, "cores": 3, **settings}.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{key} {each}\n" for each in values]
        self._lines = lines
        self._write_settings()

    def _write_settings(self) -> None:
        own = [line for lines in self._of_models.values() for line in lines]
        whole = self._settings.with_suffix(".new")
        whole.write_text("".join([*self._lines, *own]))
        whole.replace(self._settings)

    def set_of_model(self, content: bytes, **settings: Sequence[object]) -> None:
        """Set what holds, beside ``set``, while a model of this content is loaded.

        Those are ``input``, ``output`` and ``answers``.
        """
        digest = f"{hash_of(content):016x}"
        self._of_models[digest] = [
            f"{key}@{digest} {each}\n" for key, values in settings.items() for each in values
        ]
        self._write_settings()

    def answer(self, inputs: Sequence[Array], outputs: Sequence[Array], folder: str = "all") -> str:
        """Have these outputs, as stored, come of those inputs; return the setting ``answers``."""
        digest = hash_of(b"".join(array.tobytes() for array in inputs))
        answers = self._answers / folder
        answers.mkdir(exist_ok=True)
        for index, output in enumerate(outputs):
            (answers / f"{digest:016x}.{index}").write_bytes(output.tobytes())
        return str(answers)


def hash_of(content: bytes) -> int:
    """Return the FNV-1a hash of 64 bits, by which the runtime looks up an answer."""
    digest = _FNV_BASIS
    for byte in content:
        digest = (digest ^ byte) * _FNV_PRIME & _64_BITS
    return digest


@cache
def stand_in_runtime() -> Path:
    """Build the library with the compiler of this machine; return its path."""
    return built_runtime("2.3.2")


def built_runtime(version: str) -> Path:
    """Build a library that says it has this version."""
    library = build_folder() / f"librknnrt-{version}.so"
    words = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
    words += [f'-DVERSION="{version}"', "-o", str(library), str(STAND_IN_RUNTIME)]
    subprocess.run(words, check=True)
    return library


def build_folder() -> Path:
    """Return a folder for what is built, which goes with this process."""
    return Path(_build_folder().name)


@cache
def _build_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="stand-in-")
