"""What is in the wheel, and what would slip out of it or into it unseen."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

MADE_HERE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Built from a copy, so that neither is an old build taken in nor a new one left behind."""
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
    return {f"rockpress/{file.relative_to(root).as_posix()}" for file in files}


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile, root: Path) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == sources(root)


def test_wheel_has_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    assert metadata(wheel, "top_level.txt").split() == ["rockpress"]


def test_wheel_has_the_entry_point(wheel: zipfile.ZipFile) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == {"rockpress": "rockpress.cli.main:main"}


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


def test_requirements_are_lean_and_name_no_address(root: Path) -> None:
    lines = (root / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if line and line[0].isalpha()}
    assert {"numpy", "onnx", "rknn-toolkit2", "pytest"} <= names
    assert not names & {"torch", "opencv-python"}
    assert not [name for name in names if name.startswith("nvidia")]
    assert not [line for line in lines if "://" in line]


def test_requirements_match_pyproject(root: Path, pyproject: dict[str, Any]) -> None:
    """The one exact pin: whoever changes it has to lock anew."""
    lines = (root / "requirements.txt").read_text().splitlines()
    (toolkit,) = (
        one for one in pyproject["project"]["dependencies"] if one.startswith("rknn-toolkit2")
    )
    assert [line for line in lines if line.startswith(toolkit.partition(";")[0].strip() + " ")]
