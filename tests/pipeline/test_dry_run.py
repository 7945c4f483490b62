"""``run --dry-run``: what would be done, what is cached of it, and what the run would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import Run
from rockpress.core.errors import RockpressError
from rockpress.core.results.report import TargetReport
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.dry_run import plan_run
from rockpress.pipeline.options.check_options import Gates
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.run import run

pytestmark = pytest.mark.toolkit

# What is no matter to a result, but only to how long it takes or whether it comes at all.
NO_MATTER = {"cache", "jobs", "timeout", "memory_limit_gb"}


@pytest.fixture
def usual(
    small_cnn: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """The command without more options; the current folder is that of its files."""
    monkeypatch.chdir(tmp_path)
    return ["run", small_cnn, "--calib", image_folder]


def test_a_dry_run_shows_the_stages_and_does_nothing(
    usual: list[Any], small_cnn: Path, image_folder: Path, tmp_path: Path, rockpress: Run
) -> None:
    before = sorted(tmp_path.rglob("*"))
    line = [*usual, "--prune", "macs=-20%", "--dry-run"]
    code, out, err = rockpress(*line, "--max-size-mb", 3)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "rk3588 -> build/rk3588/small_cnn.rknn"
    assert "  prune               run     macs=-20%, recover by least-squares" in out
    assert out.splitlines()[-1] == "  gates: max-size-mb 3"
    assert rockpress(*line, "--max-regression", "size=2%")[0] == 2  # there is nothing to compare
    code, out, _ = rockpress(*line, "--target", "rv1106", "--json")
    (target,) = json.loads(out)["targets"]
    stages = [stage["name"] for stage in target["stages"]]
    assert stages[:2] == ["baseline", "quantize-reference"]  # that chip has no float16
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(RockpressError, match="has no float16"):
        plan_run(
            make_recipe(small_cnn, target=("rv1106",), scheme="float16", calib=image_folder),
            tmp_path,
        )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--baseline", "build/report.json"], "which this run writes over"),
        (["--baseline", "old.json"], "old.json: has no size of rk3588"),
        (["--robustness", "--calib", "tensors.npz"], "--robustness changes images"),
        (["--metric", "cer"], "reading text needs the model's characters"),
        (["--max-drop", "0.02"], "--max-drop needs at least 16 calibration samples"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would_refuse(
    more: list[str],
    said: str,
    usual: list[Any],
    tmp_path: Path,
    rockpress: Run,
) -> None:
    np.savez("tensors.npz", x=np.zeros((4, 3, 32, 32), np.float32))
    (tmp_path / "build").mkdir()
    for file in (Path("old.json"), Path("build/report.json")):
        file.write_text('{"schema": 1, "targets": []}')
    line = [*usual, *more]
    line += ["--max-regression", "size=2%"] if "--baseline" in more else []
    told = [rockpress(*line, *dry) for dry in ([], ["--dry-run"])]
    assert told[0] == told[1]
    assert (told[1][0], said in told[1][2]) == (1 if "old.json" in more else 2, True), told


# What is cached


def was_cached(target: TargetReport) -> dict[str, bool]:
    return {one.name: one.status == "cached" for one in target.stages if one.status != "skipped"}


def will_be_cached(recipe: Recipe, output: Path) -> dict[str, bool]:
    (target,) = plan_run(recipe, output)
    return {one.name: one.status == "cached" for one in target.stages}


def test_a_dry_run_foretells_what_comes_from_the_cache(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    cache, output = Cache(tmp_path / "cache"), tmp_path / "out"
    recipe = make_recipe(small_cnn, calib=image_folder, prune="cycles=-10%", cache=cache)
    changes: list[dict[str, Any]] = [
        {},
        {},
        {"method": "min-max"},
        {"gates": Gates(max_size_mb=1)},
        {"rounds": 2},
        {"quantize": "float16", "prune": None, "robustness": True},
        {"target": ("rk3576",), "sparsity": "2:4"},
        {"cache": Cache(cache.folder, fresh=True)},
    ]
    seen = []
    for change in changes:
        changed = recipe.with_options(**change)
        before = {one.folder: one.used for one in cache.entries()}
        foretold = will_be_cached(changed, output)
        assert {one.folder: one.used for one in cache.entries()} == before
        (target,) = run(changed, output).targets
        known = was_cached(target)
        assert foretold.keys() == known.keys()
        # two rounds leave the same channels, which only shows when they are there
        by_luck = {"quantize", "convert"} if "rounds" in change else set()
        assert {name for name in known if known[name] != foretold[name]} == by_luck, change
        seen.append({name for name, known in foretold.items() if known})
    references = {"reference-float16", "quantize-reference", "reference-int8"}
    assert [len(one) for one in seen[:2]] == [0, 10]
    assert seen[2] == {*references, "prune"}
    assert seen[3] == {*references, "prune", "quantize", "convert"}
    assert (seen[4], seen[5]) == (references, {"reference-float16"})
    assert (seen[6], seen[7]) == ({"quantize-reference"}, set())


def test_a_dry_run_without_a_cache_foretells_all_stages(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(small_cnn, calib=image_folder, prune="macs=-10%")
    assert not any(will_be_cached(recipe, tmp_path / "out").values())
    assert not list(tmp_path.glob("out*"))


def test_the_command_says_what_is_cached(
    usual: list[Any], tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(tmp_path / "cache"))
    line = [*usual, "-o", tmp_path / "out"]
    assert rockpress(*line, "-q")[0] == 0
    _, out, _ = rockpress(*line, "--method", "min-max", "--dry-run")
    stages = [text.split()[:2] for text in out.splitlines()[1:-1]]
    assert stages == [
        ["baseline", "run"],
        ["reference-float16", "cached"],
        ["quantize", "run"],
        ["check-quantized", "run"],
        ["convert", "run"],
        ["check", "run"],
    ]
    _, out, _ = rockpress(*line, "--dry-run", "--json")
    (target,) = json.loads(out)["targets"]
    assert {stage["status"] for stage in target["stages"]} == {"cached"}
