"""Which toolkit an interpreter has, by what that itself says."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# runs in any interpreter from 3.8 on, so it uses the standard library alone
_ASK = """
import importlib.metadata as metadata, json, os, platform, re, sys
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
toolkit, names = sys.argv[1], sys.argv[2:]
try:
    needs = metadata.requires(toolkit) or []
except metadata.PackageNotFoundError:
    needs = []
names += [found.group() for found in (re.match("[A-Za-z0-9._-]+", need) for need in needs) if found]
print(json.dumps({
    "versions": {name: version(name) for name in [toolkit, *names]},
    "needs": needs,
    "markers": {
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "python_full_version": platform.python_version(),
        "sys_platform": sys.platform,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "implementation_name": sys.implementation.name,
        "os_name": os.name,
    },
}))
"""
TOOLKIT = "rknn-toolkit2"


@dataclass(frozen=True)
class Surroundings:
    """What an interpreter says: installed versions, the toolkit's own needs, its platform."""

    python: Path | None
    versions: Mapping[str, str | None]
    needs: Sequence[str]
    markers: Mapping[str, str]


def toolkit_version(python: Path | None = None) -> str | None:
    """Return the toolkit's version in an interpreter, by default this one; None if it is absent."""
    if python is None:
        try:
            return importlib.metadata.version(TOOLKIT)
        except importlib.metadata.PackageNotFoundError:
            return None
    around = ask(python)
    return around.versions.get(TOOLKIT) if around else None


def runs(python: Path) -> bool:
    """Return whether that is an interpreter that can be asked."""
    return ask(python) is not None


@lru_cache
def ask(python: Path | None, *names: str) -> Surroundings | None:
    """Return what an interpreter says, None when it does not run.

    The versions are those of the toolkit, of what it needs, and of the distributions ``names``.
    """
    try:
        process = subprocess.run(
            [str(python or sys.executable), "-c", _ASK, TOOLKIT, *names],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        answer = json.loads(process.stdout)
        return Surroundings(python, answer["versions"], answer["needs"], answer["markers"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
