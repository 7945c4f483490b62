"""The stages that take long, each looked up in the recipe's cache before it is run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache, partial
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, TypeVar

from onnx import ModelProto

from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...calibration_data.sources.open_source import open_source
from ...convert.chips.targets import Target
from ...convert.convert import Conversion
from ...convert.toolkit.environment import toolkit_version
from ...core.errors import RockpressError
from ...core.files import sha256_of
from ...core.graphs.model import model_digest
from ...core.results.report import Report
from ...core.scratch import scratch_folder
from ...prune.budget import Budget
from ...prune.prune_result import Distillation, PruneResult
from ...quantize.quantize import QuantizeResult
from ..recipes.recipe import Recipe, recipe_document
from ..stages.converting import convert_step
from ..stages.distilling import distil_pruned
from ..stages.pruning import Pruning, budget_of
from ..stages.quantizing import quantize_as, quantize_for_cycles
from ..stages.stage_log import Step
from .stage_cache import NotKnown

T = TypeVar("T")

_MODEL, _PLAN, _RKNN = "model.onnx", "plan.toml", "model.rknn"
# What is no matter to a result, but only to how long it takes or whether it comes at all.
_NO_MATTER = ("timeout", "memory_limit_gb")


class Pruned:
    """As Pruning, which is only made when a result is not in the cache."""

    def __init__(
        self, model: ModelProto, calib: Samples, recipe: Recipe, target: Target, step: Step
    ) -> None:
        self._make = cache(lambda: Pruning(model, calib, recipe, target, step))
        self._model = model
        self._recipe = recipe
        self._calib = calib
        self._target = target

    @property
    def budget(self) -> Budget | None:
        """What may be removed; None when no channels are."""
        return budget_of(self._recipe)

    def write(self, output: Path, share: float | None = None) -> PruneResult:
        """Write the pruned model: to the budget, or another ``share`` of the same kind."""

        def make(folder: Path) -> PruneResult:
            return self._make().write(folder / _MODEL, share)

        with scratch_folder() as place:
            inputs = partial(self._inputs, share)
            result = _known(self._recipe, "prune", self._model, inputs, make, place)
            _move(place / _MODEL, output)
        return replace(result, path=output)

    def _inputs(self, share: float | None) -> Any:
        one = self._recipe
        return [
            [one.prune, one.max_drop, one.quantize, self._target.name, one.seed, share],
            [one.criterion, one.recover, one.keep, one.only, one.rounds, one.sparsity],
            _metric(one) if one.max_drop is not None else None,
            self._calib.digest(),
        ]


def distilled(
    recipe: Recipe, model: ModelProto, pruned: Path, calib: Samples, step: Step
) -> Distillation:
    """As distil_pruned, in place; the file and the result may come from the cache."""

    def make(folder: Path) -> Distillation:
        return distil_pruned(recipe, model, pruned, calib, folder / _MODEL, step)

    def inputs() -> Any:
        options = [recipe.seed, recipe.recover_time, recipe.max_drop, installed_version("torch")]
        return [sha256_of(pruned), calib.digest(), *options]

    with scratch_folder() as place:
        result = _known(recipe, "distill", model, inputs, make, place)
        _move(place / _MODEL, pruned)
    return result


def quantized(
    recipe: Recipe,
    target: Target,
    model: ModelProto,
    output: Path,
    plan: Path,
    calib: Samples,
    step: Step,
) -> QuantizeResult:
    """As quantize_as; the files and the result may come from the cache."""

    def make(folder: Path) -> QuantizeResult:
        paths = folder / _MODEL, folder / _PLAN
        return quantize_as(recipe, target, model, *paths, calib, step)

    def inputs() -> Any:
        options = [recipe.quantize, recipe.method, recipe.mixed, recipe.search_time, recipe.seed]
        return [*options, _metric(recipe), target.name, calib.digest()]

    with scratch_folder() as place:
        result = _known(recipe, "quantize", model, inputs, make, place)
        _move(place / _MODEL, output)
        _move(place / _PLAN, plan)
    return replace(result, path=output, plan_path=plan)


def quantized_for_cycles(
    recipe: Recipe, model: ModelProto, output: Path, calib: Samples, step: Step
) -> None:
    """As quantize_for_cycles; the file may come from the cache."""

    def make(folder: Path) -> None:
        quantize_for_cycles(model, folder / _MODEL, calib, step)

    with scratch_folder() as place:
        _known(recipe, "quantize-for-cycles", model, calib.digest, make, place)
        _move(place / _MODEL, output)


def converted(
    model: Path,
    output: Path | None,
    target: Target,
    recipe: Recipe,
    *,
    step: Step,
    **options: Any,
) -> Conversion:
    """As convert_step, whose options these are; file and result may come from the cache."""

    def make(folder: Path) -> Conversion:
        place = None if output is None else folder / _RKNN
        done = convert_step(model, place, target, recipe, step=step, **options)
        return replace(done, path=None)

    def inputs() -> Any:
        toolkit = [toolkit_version(recipe.toolkit_python), str(recipe.toolkit_python)]
        known = {name: _content(value) for name, value in options.items()}
        return [target.name, toolkit, output is not None, known]

    with scratch_folder() as place:
        result = _known(recipe, "convert", model, inputs, make, place)
        if output is not None:
            _move(place / _RKNN, output)
    return replace(result, path=output)


def whole_run(recipe: Recipe, version: str, make: Callable[[Path], Report], place: Path) -> Report:
    """A whole run, whose files come into ``place``; of an unchanged one nothing is done again."""

    def inputs() -> Any:
        document = recipe_document(recipe)
        for name in _NO_MATTER:
            del document[name]
        samples = [path and _digest_of(path) for path in (recipe.calib, recipe.eval)]
        old = recipe.last_report and sha256_of(recipe.last_report)
        return [document, _metric(recipe), version, samples, old]

    return _known(recipe, "run", recipe.model, inputs, make, place)


def _known(
    recipe: Recipe,
    kind: str,
    model: ModelProto | Path,
    inputs: Callable[[], Any],
    make: Callable[[Path], T],
    place: Path,
) -> T:
    """What ``make`` gives; without a cache nothing is read to know what it was made from."""
    if recipe.cache is None or not recipe.keeps_stages:
        return make(place)
    try:
        key = {"model": _digest(model), "inputs": inputs()}
    except RockpressError:
        if recipe.cache.only_looks:
            raise NotKnown from None
        return make(place)  # it tells in its own order what is wrong
    return recipe.cache.remembered(kind, key, make, place)


def _digest(model: ModelProto | Path) -> str:
    if isinstance(model, Path):
        return model_digest(model)
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _content(option: Any) -> Any:
    """What an option of a conversion says, wherever its files lie."""
    if isinstance(option, Samples):
        return option.digest()
    if isinstance(option, Path):
        return model_digest(option)
    if isinstance(option, Preprocess):
        return asdict(option)
    return repr(option)


def _digest_of(samples: Path) -> str:
    """Of all samples that a path names, with their labels and names; nothing is decoded.

    The report tells the names.
    """
    source = open_source(samples)
    labels = source.labels
    digest = hashlib.sha256(f"{labels and labels.names_digest()}\n".encode())
    for index in range(len(source)):
        parts = [labels and labels.digest(index), source.content_digest(index), source.name(index)]
        digest.update(json.dumps(parts).encode())
    return digest.hexdigest()


def _metric(recipe: Recipe) -> list[Any]:
    """The metric with its options, and the content of files that these name."""
    options = dict(recipe.metric_options)
    files = [Path(value) for value in options.values() if Path(value).is_file()]
    return [recipe.metric, options, recipe.metric_outputs, [sha256_of(file) for file in files]]


def _move(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, place)
