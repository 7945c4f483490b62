"""What a run would do, without doing it: its stages, and which of them the cache has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..calibration_data.samples import Samples
from ..convert.chips.targets import Target
from ..core.progress import SILENT
from ..core.results.report import Report
from ..core.scratch import scratch_folder
from .caching.cached_stages import whole_run
from .caching.stage_cache import NotKnown
from .recipes.recipe import Recipe
from .run import admitted, opened
from .stages.artifacts import Making
from .stages.pruning import prunes


@dataclass(frozen=True)
class PlannedStage:
    """A stage by the name that the report will have for it, and what it would do.

    One that takes what a stage before it has yet to make counts as run, and so does one that
    another target is about to make too: it may turn out to be in the cache all the same.
    """

    name: str
    status: Literal["cached", "run"]
    what: str


@dataclass(frozen=True)
class PlannedTarget:
    """The stages for one target, the file that they end in, and the gates that it has to pass."""

    target: str
    output: str
    stages: tuple[PlannedStage, ...]
    gates: dict[str, float]


def planned(recipe: Recipe, folder: Path) -> tuple[PlannedTarget, ...]:
    """What ``run`` would do. Raises what it would raise before its first stage."""
    targets, _, version = admitted(recipe, folder)
    ready, calib, evaluation = opened(recipe)
    if recipe.cache is not None:
        recipe = replace(recipe, cache=recipe.cache.looking())
    all_known = _all_known(recipe, version)

    def stages(target: Target) -> tuple[PlannedStage, ...]:
        with scratch_folder() as work:
            places = work / "kept", work / "scratch"
            making = Making(ready, calib, evaluation, recipe, target, *places)
            found = _Plan(making, recipe, target, calib, evaluation).stages(version)
        return tuple(replace(one, status="cached") for one in found) if all_known else found

    return tuple(
        PlannedTarget(
            target.name,
            str(folder / target.name / f"{recipe.model.stem}.rknn"),
            stages(target),
            _gates(recipe),
        )
        for target in targets
    )


def _all_known(recipe: Recipe, version: str) -> bool:
    """Whether nothing has changed since a run that was kept."""

    def not_made(_: Path) -> Report:
        raise NotKnown

    with scratch_folder() as place:
        try:
            whole_run(recipe, version, not_made, place)
        except NotKnown:
            return False
    return True


class _Plan:
    """The stages of one target in their order; those that can be in the cache are looked for."""

    def __init__(
        self,
        making: Making,
        recipe: Recipe,
        target: Target,
        calib: Samples | None,
        evaluation: Samples,
    ) -> None:
        self._making = making
        self._recipe = recipe
        self._target = target
        self._labelled = evaluation.labels is not None
        self._on = f"on {len(evaluation)} samples"
        self._used = f"{len(calib)} calibration samples" if calib is not None else ""
        self._stages: list[PlannedStage] = []
        self._found: dict[str, Any] = {}

    def stages(self, version: str) -> tuple[PlannedStage, ...]:
        """All of them; ``version`` is the toolkit's."""
        recipe, making, found = self._recipe, self._making, self._found
        by = recipe.metric if self._labelled else "agreement and SQNR"
        self._add("baseline", f"{recipe.model} in ONNX Runtime {self._on}, {by}")
        if "float16" in self._target.dtypes:
            self._add(
                "reference-float16",
                "compile the original, to compare with",
                lambda: making.reference_float16(SILENT.step),
            )
        last = self._prune() if prunes(recipe) else []
        if recipe.quantize != "float16":
            how = f"{recipe.quantize}, method {recipe.method}, mixed precision {recipe.mixed}"
            what = f"{how}, {self._used}"
            self._add("quantize", what, lambda: making.quantize(SILENT.step), after=last)
            self._add("check-quantized", f"in ONNX Runtime {self._on}")
            last = ["quantize"]
        self._add(
            "convert",
            f"rknn-toolkit2 {version}, simulate {self._on}",
            lambda: making.convert(found.get("quantize"), SILENT.step),
            after=last,
        )
        if recipe.robustness:
            self._add("robustness", "in ONNX Runtime, on images made worse")
        self._add("check", "compare, and hold against the gates")
        return tuple(self._stages)

    def _prune(self) -> list[str]:
        """The stages of pruning; returns the one that those after it wait for."""
        recipe, making, found = self._recipe, self._making, self._found
        whole = "reference-float16"
        if recipe.in_int8:
            first, whole = "quantize-reference", "reference-int8"
            self._add(first, "the original in int8", lambda: making.quantize_reference(SILENT.step))
            self._add(
                whole,
                "compile that, for the budget",
                lambda: making.reference_int8(found[first], SILENT.step),
                after=[first],
            )
        drop = "" if recipe.max_drop is None else f"lose at most {recipe.max_drop:.1%}, "
        budget = f"{recipe.prune}, " if recipe.prune else ""
        budget += f"{recipe.sparsity} sparse, " if recipe.sparsity else ""
        what = f"{budget}{drop}recover by {recipe.recover}, {self._used}"
        self._add("prune", what, lambda: making.prune(found[whole], SILENT.step), after=[whole])
        last = "prune"
        if recipe.recover == "distill":
            what, last = f"train for {recipe.recover_time:.0f} s at most", "distill"
            self._add(
                last,
                what,
                lambda: making.distil(found["prune"].result, SILENT.step),
                after=["prune"],
            )
        self._add("check-pruned", f"in ONNX Runtime {self._on}")
        return [last]

    def _add(
        self,
        name: str,
        what: str,
        make: Callable[[], Any] | None = None,
        *,
        after: Sequence[str] = (),
    ) -> None:
        """Note a stage; ``make`` takes it from the cache, when all that it comes ``after`` was."""
        if make is not None and self._recipe.keeps_stages and self._found.keys() >= set(after):
            with suppress(NotKnown):
                self._found[name] = make()
        status: Literal["cached", "run"] = "cached" if name in self._found else "run"
        self._stages.append(PlannedStage(name, status, what))


def _gates(recipe: Recipe) -> dict[str, float]:
    """Limits by the name that the report has for them."""
    limits = asdict(recipe.gates)
    del limits["confidence"]
    more = {f"max-regression-{name}": limit for name, limit in limits.pop("max_regression").items()}
    kept = {name.replace("_", "-"): limit for name, limit in limits.items() if limit is not None}
    return {**kept, **more}
