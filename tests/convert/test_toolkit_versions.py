"""Other versions of the toolkit: their environments, and the benchmark that compares them."""

from __future__ import annotations

import ast
import math
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.conversions.efficientnet import read_weights
from benchmarks.conversions.measure import Case, Outcome
from benchmarks.conversions.models import MODELS, QUICK, Model
from benchmarks.conversions.samples import samples_of
from benchmarks.conversions.table import gains, refusals, regressions

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = sorted((ROOT / "benchmarks").glob("toolkit-*.txt"))
CHILDREN = (
    ROOT / "convert" / "toolkit" / "child.py",
    ROOT / "benchmarks" / "conversions" / "plain.py",
    ROOT / "convert" / "toolkit" / "child_plan.py",
    ROOT / "convert" / "toolkit" / "child_simulation.py",
)


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_an_environment_pins_its_own_toolkit_and_no_torch(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert pins["rknn-toolkit2"] == file.stem.removeprefix("toolkit-")
    assert "torch" not in pins
    assert file.name in (ROOT / "docs" / "toolkit-versions.md").read_text()


@pytest.mark.parametrize("file", CHILDREN, ids=lambda file: file.name)
def test_files_for_other_environments_are_old_python(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 8))


def test_the_plain_calls_find_the_stand_in_for_torch() -> None:
    used = re.findall(r"module\.(_\w+)\(\)", CHILDREN[1].read_text())
    assert used and all(f"def {name}()" in CHILDREN[0].read_text() for name in used)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_samples_fit_the_inputs_and_repeat(model: Model) -> None:
    first, again = samples_of(model, 2, seed=3), samples_of(model, 2, seed=3)
    for wanted in model.inputs:
        found = first[wanted.name]
        assert found.reshape(2, *wanted.shape).shape == (2, *wanted.shape)
        assert found.tobytes() == again[wanted.name].tobytes()


def test_at_least_twelve_models_and_the_quick_ones_among_them() -> None:
    names = [model.name for model in MODELS]
    assert len(set(names)) == len(names) >= 12
    assert set(QUICK) <= set(names)


def test_a_file_of_weights_cannot_run_code(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(print))
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print is not expected"):
        read_weights(file)


def test_regressions_and_gains_compare_the_same_toolkit() -> None:
    ours = Case("m", "int8", "rockpress", "2.5.0")
    plain, other = replace(ours, tool="plain"), replace(ours, tool="plain", toolkit="2.3.2")
    failed = Outcome("ToolkitRaised", 1, 1, 1)
    done = Outcome("ok", 1, 1, 1, size=10)
    cases = [ours, plain, other]
    lost = {ours.key: failed, plain.key: done, other.key: failed}
    assert regressions(cases, lost) == [ours] and gains(cases, lost) == []
    nan = {ours.key: failed, plain.key: replace(done, sqnr_db=math.nan), other.key: done}
    assert regressions(cases, nan) == [] and refusals(cases, nan) == [ours]
    won = {ours.key: done, plain.key: failed, other.key: done}
    assert regressions(cases, won) == [] and gains(cases, won) == [ours]
