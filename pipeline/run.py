"""The whole chain: prune, quantize, convert and check, for every target of a recipe."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .. import __version__
from ..calibration_data.samples import Samples
from ..convert.targets import Target
from ..core.errors import OptionError
from ..core.files import require_writable, staging, write_text
from ..core.observer import SILENT, Observer
from ..core.results import Report, TargetReport
from ..report.document import to_json
from .baseline import Baseline, measure_baseline
from .chain import Chain
from .inputs import ReadyModel, ready_model
from .recipe import Recipe, recipe_document
from .requirements import require_labels, require_possible, require_toolkit
from .stages import Stages

REPORT_FILE = "report.json"


def run(recipe: Recipe, output: Path, observer: Observer = SILENT) -> Report:
    """Run a recipe and write everything to ``output``: a folder a target, and report.json.

    What cannot work is found before minutes are spent. Files appear in ``output`` only when all
    targets are finished; a gate that fails is a result, so the files and the report are there.
    Raises RockpressError: nothing is left behind then.
    """
    targets = require_possible(recipe)
    version = require_toolkit(recipe.toolkit_python)
    for target in targets:
        require_writable(output / target.name)
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib, evaluation = open_both(ready, recipe)
    stages = Stages(observer)
    base = measure_baseline(ready, calib, evaluation, recipe, stages)
    with staging(output) as folder, tempfile.TemporaryDirectory(prefix="rockpress-") as work:
        done = []
        for target in targets:
            own = stages.of_target(target.name) if len(targets) > 1 else stages
            done.append(_one(base, recipe, target, folder, Path(work), own))
        report = Report(
            tool={"name": "rockpress", "version": __version__},
            toolkit={"name": "rknn-toolkit2", "version": version},
            recipe=recipe_document(recipe),
            targets=tuple(done),
        )
        write_text(folder / REPORT_FILE, to_json(report))
    return report


def _one(
    base: Baseline, recipe: Recipe, target: Target, folder: Path, work: Path, stages: Stages
) -> TargetReport:
    return Chain(base, recipe, target, folder / target.name, work / target.name, stages).run()


def open_both(ready: ReadyModel, recipe: Recipe) -> tuple[Samples | None, Samples]:
    """Calibration samples (None when not needed) and those that everything is compared on.

    Without labelled samples the calibration samples serve for the comparison too. Raises
    SamplesError, and OptionError when one set holds images and the other tensors.
    """
    how, seed = recipe.preprocessing, recipe.seed
    calib = None
    if recipe.calib is not None:
        calib = ready.samples(recipe.calib, how, recipe.calib_count, seed)
    if recipe.eval is None:
        assert calib is not None  # require_samples has seen to it
        return calib, calib
    evaluation = ready.samples(recipe.eval, how, recipe.eval_count, seed)
    require_labels(recipe, evaluation)
    if calib is not None and calib.is_pixels != evaluation.is_pixels:
        raise OptionError(
            "one of --calib and --eval holds images and the other tensors",
            "give both in the same form: the .rknn is built for one of them",
        )
    return calib, evaluation
