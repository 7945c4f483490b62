"""What a run is to do: the options of ``rockpress run`` as one value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ...accuracy.gates import Confidence
from ...calibration_data.preprocessing import DEFAULT_PREPROCESSING, Preprocessing
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.types import Shape
from ..caching.stage_cache import Cache

_KNOWS_CORES = hasattr(os, "sched_getaffinity")  # those that this process may use


@dataclass(frozen=True)
class Gates:
    """The limits that the result must keep; None where there is none.

    ``max_regression`` is by what part of its value in the recipe's ``last_report`` a figure may be
    worse: size, cycles, latency or retention.
    """

    min_retention: float | None = None
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    confidence: Confidence = "point"
    max_regression: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One model, its samples, the targets and the gates.

    ``input_shapes`` fixes dynamic inputs by name; ``size`` (height, width) does so for the one
    image input; ``outputs`` are tensors to end the model at. ``prune`` is a budget such as
    cycles=-40%, or None; with ``max_drop``, the part of the outputs that may be lost, it is the
    most to prune; with distillation as ``recover`` it is trained for ``recover_time`` seconds at
    most; ``keep`` and ``only`` are globs over layers. With ``sparsity`` two of every four weights
    become zero, where the target gains by it. Channels are cut in ``rounds``, None for as many as
    pay. ``mixed`` is a budget for mixed
    precision, such as cycles=+8% or sqnr=25, or off, or auto: only where int8 alone is poor. It is
    searched for ``search_time`` seconds at most.
    ``last_report`` is a report of an earlier run to compare with. Stages found in ``cache``
    are not run again.
    ``jobs`` targets are built at once (one without it), and as many processes simulate at once
    (without it one for each core). ``memory_limit_gb`` is for all targets together.
    """

    model: Path
    calib: Path | None = None
    calib_count: int = 128
    eval: Path | None = None
    eval_count: int | None = None
    metric: str = "top1"
    metric_options: Mapping[str, str] = field(default_factory=dict)
    metric_outputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ("rk3588",)
    input_shapes: Mapping[str, Shape] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ()
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING
    prune: str | None = None
    recover: Literal["least-squares", "distill", "none"] = "least-squares"
    recover_time: float = 600
    max_drop: float | None = None
    sparsity: Literal["2:4"] | None = None
    rounds: int | None = None
    criterion: Literal["obs", "wanda", "magnitude"] = "obs"
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    quantize: Literal["w8a8", "w8a16", "w4a16", "float16"] = "w8a8"
    method: str = "auto"
    mixed: str = "auto"
    search_time: float = 300
    gates: Gates = Gates()
    seed: int = 0
    timeout: float = 1800
    memory_limit_gb: float = 12
    toolkit_python: Path | None = None
    jobs: int | None = None
    robustness: bool = False
    last_report: Path | None = None
    cache: Cache | None = None

    @property
    def processes(self) -> int:
        """How many processes may be at work at once on one target."""
        return self.jobs or (len(os.sched_getaffinity(0)) if _KNOWS_CORES else os.cpu_count() or 1)

    @property
    def in_int8(self) -> bool:
        """Whether layers multiply in int8; else in float16, with weights of whatever width."""
        return self.quantize == "w8a8"

    @property
    def keeps_stages(self) -> bool:
        """Whether stages are looked up in the cache and kept there.

        Not with a metric of the user's own: what a function computes is not known by its name.
        """
        return self.cache is not None and ":" not in self.metric

    def require_samples(self) -> None:
        """Raise OptionError when a stage needs samples that were not given."""
        prunes = bool(self.prune or self.sparsity) or self.max_drop is not None
        if self.calib is None and (prunes or self.quantize != "float16"):
            stage = "pruning" if prunes else "quantization"
            raise OptionError(
                f"{stage} needs calibration samples",
                f"give some with {option('calib')}, or use {option('scheme', 'float16')} and no "
                f"{option('prune')}",
            )
        self.require_comparison()

    def require_comparison(self) -> None:
        """Raise OptionError when the result cannot be compared as the gates ask for."""
        if self.eval is None and self.calib is None:
            raise OptionError(
                "there are no samples to compare the result with the baseline on",
                f"give labelled samples with {option('eval')}, or any with {option('calib')}",
            )
        if self.eval is None and self.gates.min_retention is not None:
            raise OptionError(
                f"{option('min-retention', self.gates.min_retention)} cannot be checked without "
                "labelled "
                "samples",
                f"give labelled samples with {option('eval')}",
            )


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values, paths as they were given.

    Without ``jobs`` and ``cache``, which change how long a run takes, but no result.
    """
    recipe = replace(recipe, cache=None)

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

    document: dict[str, Any] = plain(asdict(recipe))
    del document["jobs"], document["cache"]
    return document
