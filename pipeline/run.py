"""The whole chain: prune, quantize, convert and check, for every target of a recipe."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .. import __version__
from ..calibration_data.samples import Samples
from ..convert.environment import toolkit_version
from ..convert.targets import Target, find_target
from ..core.errors import OptionError, ToolkitError
from ..core.files import require_writable, staging, write_text
from ..core.observer import SILENT, Observer
from ..core.results import Report, TargetReport
from ..prune.prune import parse_budget
from ..report.document import to_json
from .baseline import Baseline, measure_baseline
from .chain import Chain
from .inputs import ReadyModel, ready_model
from .recipe import Recipe, recipe_document
from .stages import Stages

REPORT_FILE = "report.json"


def run(recipe: Recipe, output: Path, observer: Observer = SILENT) -> Report:
    """Run a recipe and write everything to ``output``: a folder a target, and report.json.

    What cannot work is found before minutes are spent. Files appear in ``output`` only when all
    targets are finished; a gate that fails is a result, so the files and the report are there.
    Raises RockpressError: nothing is left behind then.
    """
    recipe.require_samples()
    if recipe.prune:
        parse_budget(recipe.prune)
    targets = [find_target(name) for name in recipe.targets]
    version = require_toolkit(recipe.toolkit_python)
    require_writable(output)
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib, evaluation = open_both(ready, recipe)
    stages = Stages(observer)
    base = measure_baseline(ready, calib, evaluation, recipe, stages)
    with staging(output) as folder, tempfile.TemporaryDirectory(prefix="rockpress-") as work:
        done = [_one(base, recipe, one, folder, Path(work), stages) for one in targets]
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
    return Chain(base, recipe, target, folder / target.name, work, stages).run()


def require_toolkit(python: Path | None) -> str:
    """The toolkit's version. Raises ToolkitError when it is not installed."""
    version = toolkit_version(python)
    if version is None:
        raise ToolkitError(
            "rknn-toolkit2 is not installed here, so nothing can be converted",
            "see rockpress doctor, or name another environment with --toolkit-python",
        )
    return version


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
    if calib is not None and calib.is_pixels != evaluation.is_pixels:
        raise OptionError(
            "one of --calib and --eval holds images and the other tensors",
            "give both in the same form: the .rknn is built for one of them",
        )
    return calib, evaluation
