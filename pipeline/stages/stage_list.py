"""The one list of stages: what a run walks, a dry run tells of, and a report lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ...core.progress import SILENT
from ..caching.stage_cache import CacheMiss
from .board_stages import OnBoard
from .convert_stages import Check, Convert, Robustness
from .prune_stages import CheckPruned, Distil, Prune
from .quantize_stages import CheckQuantized, Quantize
from .reference_stages import QuantizeReference, ReferenceFloat16, ReferenceInt8
from .stage import Stage
from .stage_log import StageLog
from .target_figures import TargetFigures
from .target_run import TargetRun

STAGES: tuple[Stage, ...] = (
    ReferenceFloat16(),
    QuantizeReference(),
    ReferenceInt8(),
    Prune(),
    Distil(),
    CheckPruned(),
    Quantize(),
    CheckQuantized(),
    Convert(),
    OnBoard(),
    Robustness(),
    Check(),
)


def run_stages(run: TargetRun, figures: TargetFigures, log: StageLog) -> None:
    """Walk the stages of a target. Raises what they raise; nothing of it is kept then."""
    run.folder.mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        if stage.applies(run):
            with log.stage(stage.name) as progress:
                stage.make(run, progress)
                stage.measure(run, figures, progress)
        elif stage.is_listed:
            log.skip(stage.name)


def cached_stages(run: TargetRun) -> Iterator[tuple[Stage, bool]]:
    """Yield the stages that a run would walk, and whether the cache has what each makes.

    The cache of ``run`` only looks. One that takes what a stage before it has yet to make counts
    as not cached: it may turn out to be there all the same.
    """
    cached: set[str] = set()
    for stage in STAGES:
        if not stage.applies(run):
            continue
        if stage.is_cached and run.tasks.cache is not None and cached.issuperset(stage.reads(run)):
            with suppress(CacheMiss):
                stage.make(run, SILENT)
                cached.add(stage.name)
        yield stage, stage.name in cached
