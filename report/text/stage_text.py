"""How long the stages took, and what of it was cached, in words."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results.report import StageRun


def stage_time(stage: StageRun) -> str:
    """Return how long a stage took; of one that was not run again what it took when it was.

    >>> stage_time(StageRun("prune", "cached", 12.07)), stage_time(StageRun("prune", "skipped", 0))
    ('12.1 s, cached', 'skipped')
    """
    if stage.status == "skipped":
        return stage.status
    seconds = f"{stage.seconds:.1f} s"
    return seconds if stage.status == "done" else f"{seconds}, {stage.status}"


def stages_time(stages: Sequence[StageRun]) -> str:
    """Return how long all took now, and what those that were cached took when they ran.

    >>> stages_time([StageRun("prune", "cached", 12.07), StageRun("check", "done", 1)])
    '1 s; cached: 12 s'
    """
    now, cached = (
        sum(stage.seconds for stage in stages if (stage.status == "cached") is is_cached)
        for is_cached in (False, True)
    )
    return f"{now:.0f} s; cached: {cached:.0f} s" if cached else f"{now:.0f} s"
