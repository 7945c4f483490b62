"""What the toolkit needs around it, and what is missing here."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

# runs in any interpreter, so it uses the standard library alone
_ASK = """
import importlib.metadata as metadata, json, platform, sys
found = {"python": platform.python_version(), "system": sys.platform, "machine": platform.machine()}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""
_TOOLKIT = "rknn-toolkit2"
_OPENCV = ("opencv-python-headless", "opencv-python")


@dataclass(frozen=True)
class Need:
    """One requirement of rknn-toolkit2: a distribution and the versions that work."""

    name: str
    versions: str
    mend: str


@dataclass(frozen=True)
class Fact:
    """One finding: what it is about, what was found, whether it is right, and how to mend it."""

    name: str
    found: str
    ok: bool
    mend: str = ""


# the toolkit's own pins (2.3.2 and 2.5.0), and what it uses without declaring it
NEEDS: tuple[Need, ...] = (
    Need("numpy", "<=1.26.4", "pip install 'numpy<=1.26.4'"),
    Need("onnx", ">=1.16.1,<1.19", "pip install 'onnx>=1.16.1,<1.19'"),
    Need("onnxruntime", ">=1.17", "pip install 'onnxruntime>=1.17'"),
    Need("protobuf", ">=4.21.6,<=4.25.4", "pip install 'protobuf>=4.21.6,<=4.25.4'"),
    Need("setuptools", "<81", "pip install 'setuptools<81'"),
)


def toolkit_version(python: Path | None = None) -> str | None:
    """The toolkit's version in that interpreter (this one by default), or None if it is absent."""
    if python is None:
        try:
            return importlib.metadata.version(_TOOLKIT)
        except importlib.metadata.PackageNotFoundError:
            return None
    return _ask(python, (_TOOLKIT,)).get(_TOOLKIT)


def environment_facts(python: Path | None = None) -> tuple[Fact, ...]:
    """What ``doctor`` shows about the toolkit in that interpreter. Nothing of it is imported."""
    names = (_TOOLKIT, *(need.name for need in NEEDS), *_OPENCV)
    found = _ask(python or Path(sys.executable), names)
    if not found:
        return (Fact("interpreter", f"{python} does not run", False, "check --toolkit-python"),)
    return (
        _interpreter(found),
        _toolkit(found[_TOOLKIT]),
        *(_need(need, found[need.name]) for need in NEEDS),
        _opencv(found),
    )


@lru_cache
def _ask(python: Path, names: tuple[str, ...]) -> dict[str, str | None]:
    """Versions by name, from the interpreter itself; {} when it does not run."""
    try:
        done = subprocess.run(
            [str(python), "-c", _ASK, *names],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def _interpreter(found: dict[str, str | None]) -> Fact:
    version, system, machine = found["python"], found["system"], found["machine"]
    ok = system == "linux" and Version(str(version)) in SpecifierSet(">=3.6,<3.13")
    mend = "" if ok else "the toolkit runs on Linux with Python 3.6 to 3.12; see --toolkit-python"
    return Fact("interpreter", f"Python {version} on {system} {machine}", ok, mend)


def _toolkit(version: str | None) -> Fact:
    mend = "" if version else f"pip install {_TOOLKIT}"
    return Fact(_TOOLKIT, version or "not installed", version is not None, mend)


def _need(need: Need, version: str | None) -> Fact:
    ok = version is not None and Version(version) in SpecifierSet(need.versions)
    found = f"{version or 'not installed'} (needs {need.versions})"
    return Fact(need.name, found, ok, "" if ok else need.mend)


def _opencv(found: dict[str, str | None]) -> Fact:
    installed = [f"{name} {found[name]}" for name in _OPENCV if found[name]]
    mend = "" if installed else "pip install 'opencv-python-headless<4.12'"
    return Fact("opencv", ", ".join(installed) or "not installed", bool(installed), mend)
