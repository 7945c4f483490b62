"""What ``doctor`` finds: in this environment, in others that really exist, and in made-up ones."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from commands import Run, in_a_process
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.environment_facts import (
    Fact,
    environment_facts,
    machine_facts,
    mend_all,
)
from rockpress.convert.toolkit.known_issues import KNOWN_ISSUES, known_issues

PINS = {
    "numpy": "<=1.26.4",
    "onnx": "<=1.18.0,>=1.16.1",
    "protobuf": "<=4.25.4,>=4.21.6",
    "opencv-python": ">=4.5.5.64",
    "torch": "<=2.4.0,>=1.10.1",
}
GOOD = {
    "numpy": "1.26.4",
    "onnx": "1.18.0",
    "protobuf": "4.25.4",
    "setuptools": "80.0.1",
    "opencv-contrib-python": "4.11.0",
    "pip": "25.0",
}


@pytest.fixture
def interpreter(tmp_path: Path) -> Callable[..., Path]:
    """An interpreter that sees the distributions named, and no others."""

    def make(toolkit: str | None = "2.5.0", **installed: str) -> Path:
        folder = tmp_path / "site"
        names = {**GOOD, **{name.replace("_", "-"): one for name, one in installed.items()}}
        if toolkit:
            names["rknn-toolkit2"] = toolkit
        for name, version in names.items():
            lines = [f"Name: {name}", f"Version: {version}"]
            if name == "rknn-toolkit2":
                lines += [f"Requires-Dist: {one} {limit}" for one, limit in PINS.items()]
                lines += ['Requires-Dist: nonsense >=1; python_version < "3"', "Requires-Dist: ??"]
            if version:
                info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
                info.mkdir(parents=True)
                (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines]))
        script = tmp_path / "python"
        # -S leaves out this environment's own packages
        script.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" -S "$@"\n')
        script.chmod(0o755)
        return script

    return make


def by_name(facts: tuple[Fact, ...]) -> dict[str, Fact]:
    return {fact.name: fact for fact in facts}


def test_here_all_that_the_toolkit_asks_for_is_checked() -> None:
    facts = by_name(environment_facts())
    assert facts["rknn-toolkit2"].found == toolkit_version()
    for name in ("numpy", "onnx", "onnxruntime", "protobuf", "ruamel.yaml", "setuptools", "scipy"):
        assert facts[name].ok, facts[name]
    assert "opencv-python" not in facts
    assert facts["onnx"].found.endswith("(needs >=1.16.1,<=1.18.0)")
    assert mend_all(tuple(facts.values())) == ""


def test_a_made_up_environment_that_fits(interpreter: Callable[..., Path]) -> None:
    python = interpreter()
    facts = by_name(environment_facts(python))
    assert [fact for fact in facts.values() if not fact.ok] == []
    assert set(facts) == {
        *("interpreter", "rknn-toolkit2", "numpy", "onnx", "protobuf", "setuptools"),
        *("opencv", "torch"),
    }
    assert facts["opencv"].found == "opencv-contrib-python 4.11.0"
    assert facts["torch"].found == "not installed, a stand-in is used"
    assert facts["torch"].note == (
        "needed for --toolkit-quantizer gdq (torch>=1.10.1,<=2.4.0), and for --recover distill, "
        "--train distill and the attack by gradients of --robustness (torch>=2.1); "
        f"for all: {python} -m pip install 'torch>=2.1,<=2.4.0'"
    )
    assert toolkit_version(python) == "2.5.0"


@pytest.mark.parametrize(
    ("installed", "name", "mend", "note"),
    [
        ({"numpy": "2.1.0"}, "numpy", "numpy<=1.26.4", "compiled modules"),
        ({"onnx": "1.20.0"}, "onnx", "onnx>=1.16.1,<=1.18.0", "onnx.mapping"),
        ({"onnx": "1.15.0"}, "onnx", "onnx>=1.16.1,<=1.18.0", ""),
        ({"protobuf": "5.29"}, "protobuf", "protobuf>=4.21.6,<=4.25.4", ""),
        ({"setuptools": "82.0.1"}, "setuptools", "setuptools<81", "pkg_resources"),
        ({"setuptools": ""}, "setuptools", "setuptools<81", ""),
        ({"opencv_contrib_python": ""}, "opencv", "opencv-python-headless<4.12", ""),
        ({"numpy": "not a version"}, "numpy", "numpy<=1.26.4", ""),
    ],
)
def test_a_pin_that_clashes(
    installed: dict[str, str], name: str, mend: str, note: str, interpreter: Callable[..., Path]
) -> None:
    python = interpreter(**installed)
    facts = by_name(environment_facts(python))
    assert [fact.name for fact in facts.values() if not fact.ok] == [name]
    assert facts[name].install == mend
    assert facts[name].mend == f"{python} -m pip install '{mend}'"
    assert note in facts[name].note
    assert mend_all(tuple(facts.values()), python) == facts[name].mend


def test_a_single_command_mends_the_environment(interpreter: Callable[..., Path]) -> None:
    python = interpreter(toolkit=None, numpy="2.1.0", pip="", ruamel_yaml="", torch="2.9.0")
    facts = environment_facts(python)
    # without pip of its own, and with the pins of a known version where none can be read
    wanted = "rknn-toolkit2 'numpy<=1.26.4' 'onnxruntime>=1.17.0' 'ruamel.yaml>=0.17.21'"
    assert mend_all(facts, python) == f"uv pip install --python {python} {wanted}"
    assert "gdq may fail" in by_name(facts)["torch"].note
    assert toolkit_version(python) is None


def test_mending_commands_are_what_pip_understands(tmp_path: Path) -> None:
    (broken,) = environment_facts(tmp_path / "python")
    assert "does not run" in broken.found
    for fact in environment_facts(Path("/usr/bin/env")):  # runs, but is no Python
        assert not fact.ok
    from packaging.requirements import Requirement

    facts = by_name(environment_facts())
    assert all(Requirement(fact.install) for fact in facts.values() if fact.install)


def test_the_machine_has_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    space, memory = machine_facts()
    assert str(tmp_path) in space.found
    assert space.ok
    assert memory.found.endswith("GB available")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    gone, _ = machine_facts()
    assert not gone.ok
    assert "TMPDIR" in gone.mend


def test_known_issues_by_version() -> None:
    assert [one.handled for one in known_issues("2.5.0")] == [True, True]
    assert [one.handled for one in known_issues("2.3.2")] == [False, False]
    assert "RV1106" in known_issues("2.1.0+708089d1")[0].what
    assert "--outputs" in known_issues("2.3.2")[0].workaround
    for version in ("3.0.0", "no version", "", None):
        assert known_issues(version) == ()
    for one in KNOWN_ISSUES:
        assert SpecifierSet(one.versions)
        assert one.source.startswith(("measured: ", "reported: github.com/"))


def test_doctor_here(rockpress: Run) -> None:
    code, out, err = rockpress("doctor")
    assert (code, err) == (0, "")
    assert f"known of rknn-toolkit2 {toolkit_version()}, and worked around:\n- " in out
    assert out.endswith("all fit\n")
    code, out, _ = rockpress("doctor", "--json")
    document: dict[str, Any] = json.loads(out)
    assert set(document) == {"schema", "ok", "facts", "mend", "regressions"}
    assert (code, document["schema"], document["ok"], document["mend"]) == (0, 1, True, "")
    assert {"name", "found", "ok", "mend"} <= set(document["facts"][0])
    assert document["regressions"][0]["handled"] is True


def test_doctor_of_an_environment_that_does_not_fit(
    interpreter: Callable[..., Path], rockpress: Run
) -> None:
    python = interpreter(onnx="1.20.0", setuptools="82.0.1")
    code, out, err = rockpress("doctor", "--toolkit-python", python)
    assert (code, err) == (1, "")
    assert f"all of these at once: {python} -m pip install 'onnx>=1.16.1,<=1.18.0' " in out
    assert "will not work as it is" in out
    code, out, _ = rockpress("doctor", "--toolkit-python", python, "--json", "--self-test")
    document = json.loads(out)
    assert (code, document["ok"]) == (1, False)
    test = document["facts"][-1]
    # the metadata is made up, so there is no toolkit to be imported
    assert (test["name"], test["ok"]) == ("self-test", False)
    assert "cannot be imported" in test["found"] or "could not" in test["found"]


def test_what_is_no_python_is_one_error(tmp_path: Path, rockpress: Run) -> None:
    (tmp_path / "notes.txt").write_text("no program")
    for path in (tmp_path / "notes.txt", tmp_path, tmp_path / "absent", Path("/bin/true")):
        code, out, err = rockpress("doctor", "--toolkit-python", path)
        assert (code, out) == (1, "")
        error, hint = err.splitlines()
        assert error == f"error: --toolkit-python {path} is no Python that runs"
        assert hint.startswith("hint: give the path of an environment's Python")


def test_doctor_without_a_toolkit_does_not_try_it(
    interpreter: Callable[..., Path], rockpress: Run
) -> None:
    python = interpreter(toolkit=None)
    code, out, err = rockpress("doctor", "--toolkit-python", python, "--self-test")
    assert (code, err) == (1, "")
    assert "not run: there is no toolkit" in out


def test_the_self_test_is_bit_exact(tmp_path: Path) -> None:
    """With a relative path of this interpreter too, as it is typed."""
    (tmp_path / "bin").symlink_to(Path(sys.executable).parent)
    python = Path("bin") / Path(sys.executable).name
    done = in_a_process(
        *["doctor", "--self-test", "--json", "--toolkit-python", python],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stdout
    assert done.stderr == "rockpress: self-test\n"
    test = json.loads(done.stdout)["facts"][-1]
    assert test["name"] == "self-test"
    assert test["found"].startswith("a convolution for rk3588, ")
    assert test["found"].endswith(" s, bit-exact")
