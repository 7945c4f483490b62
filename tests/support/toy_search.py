"""A real search over toy_trial.py: ``python toy_search.py FOLDER`` goes on with what is there.

It writes what it has come to into FOLDER/front.json. Its trials are real processes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from zlib import crc32

import pytest

import graphs
from rockpress.cli.handler import catch_signals, run
from rockpress.convert.chips.targets import find_target
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.search import recipe_evaluator
from rockpress.pipeline.search.front import pareto_front
from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import Trial
from rockpress.pipeline.search.predicted_cost import PredictedCost
from rockpress.pipeline.search.recipe_evaluator import ALL, RecipeEvaluator
from rockpress.pipeline.search.sampler import OptunaSampler
from rockpress.pipeline.search.search import Search, SearchLimits
from rockpress.pipeline.search.sole_search import sole_search
from rockpress.pipeline.search.space import Knob, Space
from rockpress.pipeline.search.trial_process import TrialJob
from rockpress.report.documents.document import to_json
from sample_reports import GOOD, report

PROGRAM = (str(Path(__file__).with_name("toy_trial.py")),)
CUTS = (None, "latency=-10%", "latency=-20%", "latency=-30%", "latency=-40%")
SPACE = Space(
    (
        Knob("prune", CUTS),
        Knob("rounds", (1, 2, 3), counts=lambda before: before["prune"] is not None),
        Knob("scheme", ("w8a8", "float16")),
    )
)
LIMITS = SearchLimits(20, batch=4)


def prepare(folder: Path) -> dict[str, str]:
    """Write what the trials read, and return the variables that tell them where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.json").write_text(to_json(report(replace(GOOD, gates=(), warnings=()))))
    (folder / "log.txt").touch()
    return {"TOY_REPORT": str(folder / "toy.json"), "TOY_LOG": str(folder / "log.txt")}


def measure_by_toy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the toy measure the points of searches of this process, with its files in a folder."""
    for name, value in prepare(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(recipe_evaluator, "TrialJob", partial(TrialJob, program=PROGRAM))


def recorded_trials(file: Path) -> set[str]:
    """Return the folder, the point and its rung, of each trial that is whole in trials.jsonl."""
    folders = set()
    content = file.read_bytes() if file.exists() else b""
    for line in content.split(b"\n")[1:]:
        checksum, _, text = line.partition(b" ")
        if text and checksum == b"%08x" % crc32(text):
            entry = json.loads(text)
            rung = entry["rung"]
            folders.add(entry["point"] if rung == 2 else f"{entry['point']}.{rung}")
    return folders


def toy_recipe(folder: Path, **options: object) -> Recipe:
    return make_recipe(folder / "m.onnx", eval=folder / "eval", **options)


def toy_evaluator(recipe: Recipe, folder: Path, memory: float = 1e12) -> RecipeEvaluator:
    predicted = PredictedCost(graphs.small_cnn(), find_target("rk3588"), "latency")
    points = folder / "points"
    return RecipeEvaluator(recipe, predicted, "latency", points, 2, 1, memory=memory)


def toy_search(
    folder: Path,
    evaluator: RecipeEvaluator,
    space: Space = SPACE,
    limits: SearchLimits = LIMITS,
    on_measured: Callable[[Sequence[Trial]], None] = lambda trials: None,
) -> tuple[Trial, ...]:
    """Search with the file of trials that is in the folder."""
    journal = Journal(folder / "trials.jsonl", "toy")
    return Search(OptunaSampler(space, 3), evaluator, journal, limits, on_measured).run()


def front_trials(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    return pareto_front(trial for trial in trials if len(trial.outcomes) > ALL)


def main(folder: Path) -> None:
    measure_by_toy(folder, pytest.MonkeyPatch())
    evaluator = toy_evaluator(toy_recipe(folder), folder)
    with sole_search(folder / "trials.jsonl"), closing(evaluator):
        trials = toy_search(folder, evaluator)
    (folder / "front.json").write_text(
        json.dumps([asdict(trial) for trial in front_trials(trials)])
    )


if __name__ == "__main__":
    catch_signals()
    sys.exit(run(lambda: main(Path(sys.argv[1]))))
