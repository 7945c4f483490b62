"""Which pruning is advised where a limit of latency or size does not hold."""

from __future__ import annotations

from dataclasses import replace

from result_reports import PASSED, report
from rockpress.cli.phrases import command_phrase
from rockpress.convert.chips.targets import find_target
from rockpress.core.diagnostics import render, speaking
from rockpress.core.results.pruning_figures import PruningAttempt, PruningFigure
from rockpress.core.results.report import GateFigure, TargetReport
from rockpress.report.text import next_steps

REFERENCE = replace(PASSED.models[1], stage="reference-int8", parameters=1_600_000)
HEAVY = replace(PASSED.models[3], parameters=1_600_000)
SLOW = GateFigure("max-latency-ms", 1.0, 1.46, False)
LARGE = GateFigure("max-size-mb", 1.5, 2.1, False)
CUT = PruningFigure(0.8, 0.7, 0.8, "latency", 0.8, "agreement", (), (), latency_ratio=0.8)


def advice(target: TargetReport, **recipe: object) -> str:
    """What is advised of pruning for a target of 2.1 MB, of which 1.6 MB are weights."""
    built = replace(target, models=(*PASSED.models[:2], REFERENCE, PASSED.models[2], HEAVY))
    shown, options = report(built, **recipe), ("prune", "max-drop")
    steps = next_steps.next_steps(shown, lambda name: find_target(name).dtypes, options)
    with speaking(command_phrase):
        (step,) = [render(each) for each in steps if "prun" in each]
    return step


def test_a_budget_for_a_size_is_of_the_weights_as_nothing_else_is_pruned() -> None:
    assert advice(replace(PASSED, gates=(LARGE,))).endswith("max-size-mb with --prune size=-38%")
    tight = replace(LARGE, limit=1.0)  # 52 % of the file, 69 % of its weights
    assert "no pruning alone meets max-size-mb:" in advice(replace(PASSED, gates=(tight,)))


def test_two_limits_are_both_named() -> None:
    step = advice(replace(PASSED, gates=(SLOW, LARGE)))
    assert "max-latency-ms with --prune latency=-32%" in step
    assert "max-size-mb with --prune size=-38%" in step
    beyond = advice(replace(PASSED, gates=(replace(SLOW, limit=0.1), replace(LARGE, limit=0.1))))
    assert "no pruning alone meets max-latency-ms and max-size-mb" in beyond


def test_a_budget_of_ones_own_is_answered_with_a_larger_one() -> None:
    pruned = replace(PASSED, gates=(SLOW,), pruning=CUT)
    for budget, percent in (("latency=-30%", 53), ("macs=-30%", 46)):  # of 0.7, of 0.8
        assert f"--prune latency=-{percent}%" in advice(pruned, prune=budget)


def test_where_the_drop_binds_a_larger_one_is_named() -> None:
    bound = replace(PASSED, gates=(SLOW,), pruning=replace(CUT, attempts=(PruningAttempt(0.2, 1),)))
    step = advice(bound, max_drop=0.01)
    assert "--max-drop 0.02" in step and "--prune" not in step
    both = advice(bound, max_drop=0.01, prune="latency=-30%")
    assert "--prune latency=-46%" in both and "--max-drop 0.02" in both
