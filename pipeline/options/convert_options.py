"""How a model gets to RKNN, and what the toolkit may take for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...core.diagnostics import option
from ...core.list_kinds import Names, PlainValues
from ...core.native_work import DEFAULT_LIMIT
from ...core.option_kinds import Choice, File, Number, Whole
from ...core.options import Options, opt
from ...quantize.choices.names import SCHEMES_ELSEWHERE, scheme_names
from .board_options import BOARD_SECONDS

# a number format that the toolkit alone makes
_TOOLKIT_SCHEMES = ("w16a16i",)


def _every_scheme() -> tuple[str, ...]:
    return (*scheme_names(), *_TOOLKIT_SCHEMES)


_KNOWS_CORES = hasattr(os, "sched_getaffinity")  # those that this process may use
_BUILDS = "run convert check predict inspect"


@dataclass(frozen=True)
class ConvertOptions(Options):
    """Which way a single model is converted; a run derives it from how it quantized."""

    heading: ClassVar[str] = "Conversion"

    scheme: str | None = opt(
        None,
        Choice(_every_scheme, SCHEMES_ELSEWHERE),
        "The number format: bits of weights (w) and activations (a).",
        "convert",
        heading="Result",
        default="w8a8",
    )
    toolkit_quantizer: str | None = opt(
        None,
        Choice(("normal", "kl_divergence", "mmse", "gdq")),
        "Quantize by the toolkit's own algorithm.",
        "convert",
        default="none: a QDQ model as it says, any other in float16",
    )
    route: str = opt(
        "auto",
        Choice(("auto", "qdq", "hybrid")),
        "How a plan gets to the toolkit. As a QDQ model, or as ranges for the toolkit's own "
        "quantizer.",
        "convert",
        default="auto, what computes what the plan says",
    )
    plan: Path | None = opt(
        None,
        File("FILE", suffixes=(".toml",)),
        "Quantize a float model as this plan says.",
        "convert",
    )
    code: tuple[str, ...] = opt(
        (),
        Names(known=lambda: ("python", "c")),
        "Write programs for a board beside the .rknn, in python, c or both.",
        "convert",
        default="none",
    )
    rknn_batch_size: int = opt(
        1,
        Whole(1),
        "How many samples the .rknn takes together, of a model with a batch of 1.",
        "run convert",
    )


@dataclass(frozen=True)
class ToolkitOptions(Options):
    """Which toolkit builds, its own settings, and what a build may take."""

    heading: ClassVar[str] = "Toolkit and machine"

    timeout: float = opt(
        DEFAULT_LIMIT,
        Number(1, 1e6, "S", "s"),
        "Seconds that a build may take, ONNX Runtime for a sample, or a board to say anything.",
        f"{_BUILDS} prune quantize bench",
        defaults={"bench": f"{BOARD_SECONDS:g}"},
    )
    memory_limit: float = opt(
        12.0,
        Number(0.5, 1e6, "GB", "GB"),
        f"Memory that all builds together may take; with {option('jobs')} each gets its share.",
        _BUILDS,
    )
    toolkit_python: Path | None = opt(
        None,
        File(program=True),
        "Python of another environment, whose rknn-toolkit2 is to be used.",
        f"{_BUILDS} quantize doctor",
    )
    toolkit_config: Mapping[str, Any] = opt(
        {},
        PlainValues(),
        "Hand a setting on to the toolkit's config(), or auto_hybrid to its build(): "
        f"{option('toolkit-config', {'single_core_mode': 'true'})}. Repeatable.",
        "run convert",
    )
    toolkit_level: int | None = opt(
        None,
        Whole(2, 3),
        "The toolkit's optimization level, and no other: 3 joins more layers, which is faster, 2 "
        "keeps the numbers more strictly.",
        "run convert",
        default="3, then 2 where that computes something else than was meant",
    )
    jobs: int | None = opt(
        None,
        Whole(1),
        "How many targets to build at once, and how many processes simulate one. A target that "
        f"fails for want of memory in its share of {option('memory-limit')} is built again alone "
        "with all of it.",
        "run convert check predict",
        default="1 target, one process a core",
    )

    @property
    def processes(self) -> int:
        """Return how many processes may be at work at once on one target."""
        cores = len(os.sched_getaffinity(0)) if _KNOWS_CORES else os.cpu_count() or 1
        return self.jobs or cores
