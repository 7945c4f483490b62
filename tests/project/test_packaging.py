"""What is in the wheel, and what would slip out of it or into it unseen."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from rockpress.pipeline.ci_files import LEFT_OUT

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-lowest.txt")
MADE_HERE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Built from a copy, so that neither is an old build taken in nor a new one left behind.

    A release is checked itself.
    """
    if "ROCKPRESS_DIST" in os.environ:
        (built,) = (root / os.environ["ROCKPRESS_DIST"]).glob("*.whl")
        with zipfile.ZipFile(built) as opened:
            yield opened
        return
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(root, folder / "source", ignore=MADE_HERE)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(folder / "source")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (found,) = (one for one in wheel.namelist() if one.endswith(f".dist-info/{name}"))
    return wheel.read(found).decode()


def sources(root: Path) -> set[str]:
    """What has to be in the wheel, as it is called there."""
    files = [root / "__init__.py", root / "__main__.py", root / "py.typed"]
    for package in root.glob("*/__init__.py"):
        files += package.parent.rglob("*.py")
    files += (root / "calibration_data" / "samples").iterdir()
    files += (root / "board" / "generated" / "templates").iterdir()
    return {f"rockpress/{file.relative_to(root).as_posix()}" for file in files}


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile, root: Path) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == sources(root)


def test_wheel_has_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    assert metadata(wheel, "top_level.txt").split() == ["rockpress"]


def test_wheel_has_the_entry_point(wheel: zipfile.ZipFile) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == {"rockpress": "rockpress.cli.entry:main"}


def test_wheel_has_its_licences(wheel: zipfile.ZipFile) -> None:
    fields = Parser().parsestr(metadata(wheel, "METADATA"))
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields.get_all("License-File") == [
        "LICENSE",
        "calibration_data/samples/LICENSE.fashion-mnist",
    ]


def test_every_package_is_listed(root: Path, pyproject: dict[str, Any]) -> None:
    found = {
        ".".join(("rockpress", *path.parent.relative_to(root).parts))
        for top in root.glob("[a-z]*/__init__.py")
        for path in top.parent.rglob("*.py")
    }
    listed = pyproject["tool"]["setuptools"]["packages"]
    assert listed == sorted(found | {"rockpress"})


def test_no_other_module_at_the_root(root: Path) -> None:
    """Every one would go into the wheel."""
    assert {path.name for path in root.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_tests_are_no_package(root: Path) -> None:
    """pytest would climb from it to the root and import the package under the folder's name."""
    assert not list((root / "tests").rglob("__init__.py"))


def pins(root: Path, name: str) -> set[str]:
    """The lines "package==version ; marker" of a file of requirements, without their hashes."""
    lines = (root / name).read_text().splitlines()
    return {line.removesuffix("\\").strip() for line in lines if line[:1].isalpha()}


def versions(root: Path, name: str) -> dict[str, set[str]]:
    """Package -> its versions, of which there are several where markers choose."""
    found: dict[str, set[str]] = {}
    for pin in pins(root, name):
        package, _, version = pin.partition(" ;")[0].partition("==")
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_are_hashed_and_name_no_address(name: str, root: Path) -> None:
    text = (root / name).read_text()
    assert all(f"{pin} \\\n    --hash=sha256:" in text for pin in pins(root, name))
    assert not [
        line for line in text.splitlines() if "://" in line or "/" in line.partition("#")[0]
    ]


def test_requirements_are_lean(root: Path) -> None:
    user, developer = (versions(root, name).keys() for name in REQUIREMENTS[:2])
    assert {"numpy", "onnx", "rknn-toolkit2"} <= user
    assert {"pytest", "mypy", "ruff", "sphinx"} <= developer - user
    assert not (user | developer) & {"torch", "opencv-python"}
    assert not [name for name in user | developer if name.startswith("nvidia")]


def test_user_and_developer_have_the_same_versions(root: Path) -> None:
    """Both files are installed into one environment."""
    user, developer = (versions(root, name) for name in REQUIREMENTS[:2])
    both = user.keys() & developer.keys()
    assert {name: user[name] for name in both} == {name: developer[name] for name in both}


def test_requirements_match_pyproject(root: Path, pyproject: dict[str, Any]) -> None:
    """The one exact pin: whoever changes it has to lock anew."""
    (toolkit,) = (
        one for one in pyproject["project"]["dependencies"] if one.startswith("rknn-toolkit2")
    )
    pinned = pins(root, "requirements.txt")
    assert [pin for pin in pinned if pin.startswith(toolkit.partition(";")[0].strip() + " ")]


def test_the_lowest_versions_are_those_of_pyproject(root: Path, pyproject: dict[str, Any]) -> None:
    """Each dependency has a lower bound, and that is what .ci/run tries (1.26 as 1.26.0)."""
    lowest = {Requirement(pin).name: Requirement(pin) for pin in pins(root, REQUIREMENTS[2])}
    for dependency in map(Requirement, pyproject["project"]["dependencies"]):
        (bound,) = (one for one in dependency.specifier if one.operator in (">=", "=="))
        (pin,) = lowest[dependency.name].specifier
        assert Version(pin.version).release[: len(Version(bound.version).release)] == (
            Version(bound.version).release
        ), dependency


def test_ci_leaves_out_what_the_lock_leaves_out(pyproject: dict[str, Any]) -> None:
    assert pyproject["tool"]["uv"]["override-dependencies"] == list(LEFT_OUT)


def test_uv_is_the_one_of_the_makefile(root: Path) -> None:
    (version,) = re.findall(r"^UV_VERSION := (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert pins(root, "requirements-uv.txt") == {f"uv=={version}"}
