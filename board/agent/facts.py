"""What the board is, and what is installed on it."""

from __future__ import annotations

import glob
import os
import platform
import re
import sys
from typing import Any

from .board_files import at_root, matching, read_text
from .conditions import conditions
from .librknnrt import library_path, library_version

_TREES = ("/proc/device-tree", "/sys/firmware/devicetree/base")
_CHIP = re.compile(r"^rockchip,(r[kv]\d{4}\w*)$")
_DRIVERS = (
    "/sys/kernel/debug/rknpu/version",
    "/proc/debug/rknpu/version",
    "/proc/rknpu/version",
    "/sys/module/rknpu/version",
)
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_DEVICES = ("/dev/dri/renderD*", "/dev/rknpu*", "/dev/dma_heap/*")
_MODULE = re.compile(r"^DRIVER=(.*)$", re.M)
_MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB", re.M)


def board_facts() -> dict[str, Any]:
    """Return all that can be read; None where nothing can."""
    compatible = _of_tree("compatible").split("\0")
    chips = [match.group(1) for match in map(_CHIP.match, compatible) if match]
    memory = {name: 1024 * int(kb) for name, kb in _MEMORY.findall(_text("/proc/meminfo"))}
    path = library_path()
    return {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "board": _of_tree("model") or None,
        "chip": chips[-1] if chips else None,
        "compatible": [word for word in compatible if word],
        "kernel": platform.release() or None,
        "arch": platform.machine() or None,
        "runtime": library_version(path) if path else None,
        "runtime_path": path,
        "driver": _driver(),
        "toolkit_lite": _toolkit_lite(),
        "memory_bytes": memory.get("MemTotal"),
        "available_bytes": memory.get("MemAvailable"),
        "devices": _devices(),
        "conditions": conditions(),
    }


def _text(path: str) -> str:
    return read_text(path) or ""


def _of_tree(name: str) -> str:
    texts = (_text(f"{tree}/{name}") for tree in _TREES)
    return next(filter(None, texts), "")


def _driver() -> str | None:
    versions = (_VERSION.search(_text(path)) for path in _DRIVERS)
    return next((match.group() for match in versions if match), None)


def _toolkit_lite() -> str | None:
    """Return the version of rknn-toolkit-lite2, which is not needed. It is not imported."""
    for folder in sys.path:
        installed = glob.glob(os.path.join(glob.escape(folder), "rknn_toolkit_lite2-*.dist-info"))
        if installed:
            return os.path.basename(installed[0]).rpartition(".dist-info")[0].split("-")[1]
    return None


def _devices() -> list[dict[str, Any]]:
    paths = [path for pattern in _DEVICES for path in matching(pattern)]
    return [
        {"path": path, "is_usable": os.access(at_root(path), os.R_OK | os.W_OK)}
        for path in paths
        if not _is_of_another(path)
    ]


def _is_of_another(path: str) -> bool:
    """Return whether a render node is of the display or the GPU, and not of the NPU."""
    driver = _MODULE.search(_text(f"/sys/class/drm/{os.path.basename(path)}/device/uevent"))
    return driver is not None and driver.group(1).lower() != "rknpu"
