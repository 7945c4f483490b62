"""What the toolkit needs around it, and what is missing here."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from ...core.diagnostics import option, render
from .environment import TOOLKIT, Surroundings, ask

_OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
# what our own distillation needs, as pyproject.toml has it
DISTIL_TORCH = SpecifierSet(">=2.1")
# what the toolkit names but its ONNX path does not need as named: stand-ins and variants do
_SPECIAL = ("torch", "opencv-python")
# of 2.5.0, for where there is no toolkit whose own needs could be read
_USUAL = (
    "numpy<=1.26.4",
    "onnx>=1.16.1,<=1.18.0",
    "onnxruntime>=1.17.0",
    "protobuf>=4.21.6,<=4.25.4",
    "ruamel.yaml>=0.17.21",
)
# what breaks it although its metadata allow it or do not mention it
_BEYOND = {
    "onnx": ("<1.19", "later ones lack onnx.mapping"),
    "setuptools": ("<81", "later ones lack pkg_resources"),
    "numpy": ("<2", "later ones changed what compiled modules rely on"),
}
_LEAN = "with torch for CUDA it takes 5.6 GB; --no-deps leaves that out, then ask doctor again"
_LEAST_SPACE = _LEAST_MEMORY = 10**9  # bytes; a build of a small model takes about half of it


@dataclass(frozen=True)
class Fact:
    """One finding: what it is about, what was found, whether it is right, and how to mend it.

    ``note`` is worth knowing though nothing has to be done. ``install`` is what pip would have to
    install, "" where pip cannot help.
    """

    name: str
    found: str
    ok: bool
    mend: str = ""
    note: str = ""
    install: str = ""


def environment_facts(python: Path | None = None) -> tuple[Fact, ...]:
    """Return what to know of the toolkit in that interpreter, without importing any of it."""
    around = _surroundings(python)
    if around is None:
        return (Fact("interpreter", f"{python} does not run", False, f"check {_toolkit_python()}"),)
    return (
        _interpreter(around),
        _toolkit(around),
        *_needed(around),
        _opencv(around),
        _torch(around),
    )


def mend_all(facts: Sequence[Fact], python: Path | None = None) -> str:
    """Return one command for all that pip can mend, so that it chooses versions together; or ""."""
    around = _surroundings(python)
    requirements = [fact.install for fact in facts if fact.install]
    return _install(around, *requirements) if around and requirements else ""


def machine_facts() -> tuple[Fact, ...]:
    """Return what room a conversion has: in the temporary folder, and in memory."""
    return (_space(), _memory())


def _surroundings(python: Path | None) -> Surroundings | None:
    usual = (Requirement(text).name for text in _USUAL)
    return ask(python, *_OPENCV, *_BEYOND, *usual, "torch", "pip")


def _install(around: Surroundings, *requirements: str) -> str:
    """Return what to type so that these get installed there."""
    python = shlex.quote(str(around.python or sys.executable))
    arguments = " ".join(map(shlex.quote, requirements))
    if around.versions["pip"] is None:
        return f"uv pip install --python {python} {arguments}"
    return f"{'pip' if _has_first_pip(around) else f'{python} -m pip'} install {arguments}"


def _has_first_pip(around: Surroundings) -> bool:
    """Return whether the word pip alone means the pip of this interpreter."""
    first = shutil.which("pip")
    own = Path(sys.executable).parent
    return around.python is None and first is not None and Path(first).parent == own


def _interpreter(around: Surroundings) -> Fact:
    version = around.markers["python_full_version"]
    system, machine = around.markers["sys_platform"], around.markers["platform_machine"]
    ok = system == "linux" and _fits(version, SpecifierSet(">=3.6,<3.13"))
    mend = f"the toolkit runs on Linux with Python 3.6 to 3.12; see {_toolkit_python()}"
    return Fact("interpreter", f"Python {version} on {system} {machine}", ok, "" if ok else mend)


def _toolkit_python() -> str:
    return render(option("toolkit-python"))


def _toolkit(around: Surroundings) -> Fact:
    version = around.versions[TOOLKIT]
    if version is not None:
        return Fact(TOOLKIT, version, True)
    return _missing(around, TOOLKIT, "not installed", TOOLKIT, note=_LEAN)


def _needed(around: Surroundings) -> Iterator[Fact]:
    """One fact for each distribution that the toolkit needs, by its own metadata and beyond."""
    requirements = _requirements(around.needs or _USUAL, around.markers)
    for name, (limit, _) in _BEYOND.items():
        requirements[name] = requirements.get(name, SpecifierSet()) & SpecifierSet(limit)
    for name in sorted(set(requirements) - set(_SPECIAL)):
        version, limit = around.versions.get(name), _readable(requirements[name])
        state = f"{version or 'not installed'} (needs {limit or 'any version'})"
        if version is not None and _fits(version, requirements[name]):
            yield Fact(name, state, True)
            continue
        beyond, why = _BEYOND.get(name, ("", ""))
        breaks = version is not None and not _fits(version, SpecifierSet(beyond))
        yield _missing(around, name, state, f"{name}{limit}", note=why if breaks else "")


def _missing(around: Surroundings, name: str, state: str, requirement: str, note: str = "") -> Fact:
    return Fact(name, state, False, _install(around, requirement), note, requirement)


def _requirements(needs: Sequence[str], markers: Mapping[str, str]) -> dict[str, SpecifierSet]:
    """Name -> versions, of those that hold for this platform."""
    versions: dict[str, SpecifierSet] = {}
    for text in needs:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({**markers, "extra": ""}):
            versions[requirement.name] = (
                versions.get(requirement.name, SpecifierSet()) & requirement.specifier
            )
    return versions


def _opencv(around: Surroundings) -> Fact:
    installed = [f"{name} {around.versions[name]}" for name in _OPENCV if around.versions[name]]
    if installed:
        return Fact("opencv", ", ".join(installed), True)
    return _missing(around, "opencv", "not installed", "opencv-python-headless<4.12")


def _torch(around: Surroundings) -> Fact:
    """A quantizer, training and attacks by gradients need torch; a stand-in serves for the rest."""
    version = around.versions["torch"]
    own = _requirements(around.needs, around.markers).get("torch", SpecifierSet("<=2.4.0"))
    if version is None:
        command = _install(around, f"torch{_readable(own & DISTIL_TORCH)}")
        note = render(
            f"needed for {option('toolkit-quantizer', 'gdq')} (torch{_readable(own)}), and for "
            f"{option('recover', 'distill')}, {option('train', 'distill')} and the attack by "
            f"gradients of {option('robustness')} (torch{DISTIL_TORCH}); for all: {command}"
        )
        return Fact("torch", "not installed, a stand-in is used", True, note=note)
    note = "" if _fits(version, own) else f"the toolkit asks for {_readable(own)}; gdq may fail"
    return Fact("torch", version, True, note=note)


def _space() -> Fact:
    mend = "make space there, or set TMPDIR to a folder with more"
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Fact("temporary folder", f"none can be written to: {error.strerror}", False, mend)
    enough = free >= _LEAST_SPACE
    return Fact(
        "temporary folder", f"{folder}, {free / 1e9:.1f} GB free", enough, "" if enough else mend
    )


def _memory() -> Fact:
    import psutil

    free = psutil.virtual_memory().available
    enough = free >= _LEAST_MEMORY
    mend = "" if enough else "close other programs: a build takes 0.5 GB and more"
    return Fact("memory", f"{free / 1e9:.1f} GB available", enough, mend)


def _fits(version: str, versions: SpecifierSet) -> bool:
    try:
        return versions.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _readable(versions: SpecifierSet) -> str:
    """The bounds in an order that reads well, without those that others imply.

    >>> _readable(SpecifierSet("<2,<=1.26.4,>=1.20"))
    '>=1.20,<=1.26.4'
    """
    lower = [bound for bound in versions if bound.operator in (">=", ">")]
    upper = [bound for bound in versions if bound.operator in ("<", "<=")]
    other = [bound for bound in versions if bound not in lower and bound not in upper]
    lower = sorted(lower, key=lambda bound: Version(bound.version))[-1:]
    upper = sorted(upper, key=lambda bound: Version(bound.version))[:1]
    return ",".join(str(bound) for bound in [*lower, *upper, *other])
