"""What a run would do, without doing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ..calibration_data.samples import Samples
from ..convert.targets import Target
from .inputs import ready_model
from .recipe import Recipe
from .run import admitted, open_both


@dataclass(frozen=True)
class PlannedStage:
    """A stage by the name that the report will have for it, and what it would do."""

    name: str
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
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib, evaluation = open_both(ready, recipe)
    return tuple(
        PlannedTarget(
            target.name,
            str(folder / target.name / f"{recipe.model.stem}.rknn"),
            tuple(_stages(recipe, target, calib, evaluation, version)),
            _gates(recipe),
        )
        for target in targets
    )


def _stages(
    recipe: Recipe, target: Target, calib: Samples | None, evaluation: Samples, version: str
) -> list[PlannedStage]:
    on = f"on {len(evaluation)} samples"
    by = recipe.metric if evaluation.labels is not None else "agreement and SQNR"
    used = f"{len(calib)} calibration samples" if calib is not None else ""
    stages = [("baseline", f"{recipe.model} in ONNX Runtime {on}, {by}")]
    if "float16" in target.dtypes:
        stages.append(("reference-float16", "compile the original, to compare with"))
    if recipe.prune or recipe.sparsity or recipe.max_drop is not None:
        if recipe.quantize != "float16":
            stages.append(("reference-int8", "compile the original in int8, for the budget"))
        drop = "" if recipe.max_drop is None else f"lose at most {recipe.max_drop:.1%}, "
        budget = f"{recipe.prune}, " if recipe.prune else ""
        budget += f"{recipe.sparsity} sparse, " if recipe.sparsity else ""
        stages.append(("prune", f"{budget}{drop}recover by {recipe.recover}, {used}"))
        if recipe.recover == "distill":
            stages.append(("distill", f"train for {recipe.recover_time:.0f} s at most"))
        stages.append(("check-pruned", f"in ONNX Runtime {on}"))
    if recipe.quantize != "float16":
        how = f"{recipe.quantize}, method {recipe.method}, mixed precision {recipe.mixed}"
        stages.append(("quantize", f"{how}, {used}"))
        stages.append(("check-quantized", f"in ONNX Runtime {on}"))
    stages.append(("convert", f"rknn-toolkit2 {version}, simulate {on}"))
    stages.append(("check", "compare, and hold against the gates"))
    return [PlannedStage(*one) for one in stages]


def _gates(recipe: Recipe) -> dict[str, float]:
    """Limits by the name that the report has for them."""
    limits = asdict(recipe.gates)
    del limits["confidence"]
    more = {f"max-regression-{name}": limit for name, limit in limits.pop("max_regression").items()}
    kept = {name.replace("_", "-"): limit for name, limit in limits.items() if limit is not None}
    return {**kept, **more}
