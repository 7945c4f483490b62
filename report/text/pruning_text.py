"""Which plan pruning took, what it left out, and what distillation did, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .units import number_text


def choice_text(found: Mapping[str, Any]) -> str:
    """One line: why the plan that was kept is better.

    >>> values = {"searched": 0.031, "uniform": 0.024}
    >>> choice_text({"plan": "uniform", "measure": "divergence", "values": values})
    'plan: uniform, divergence 0.024 on held-out samples (searched: 0.031)'
    """
    told = {name: number_text(value, ".3g") for name, value in found["values"].items()}
    plan, measure = found["plan"], found["measure"]
    others = ", ".join(f"{name}: {value}" for name, value in told.items() if name != plan)
    return f"plan: {plan}, {measure} {told.get(plan)} on held-out samples ({others})"


def blocks_text(found: Iterable[Mapping[str, Any]]) -> str | None:
    """One line with the residual blocks that were left out, if any.

    >>> blocks_text([{"name": "block of w4", "left_out": True, "saved": 0.093, "layers": ["a"]}])
    'left out: block of w4 (-9.3%)'
    """
    told = [f"{one['name']} ({-(one['saved'] or 0.0):+.1%})" for one in found if one["left_out"]]
    return f"left out: {', '.join(told)}" if told else None


def distillation_text(found: Mapping[str, Any]) -> str:
    """One line; the values are those of the samples that were held out.

    >>> found = {"kept": True, "measure": "agreement", "likeness_before": 0.9, "steps": 800,
    ...     "likeness_after": 0.95, "held_out": 64, "seconds": 300.0,
    ...     "divergence_before": 0.08, "divergence_after": 0.02}
    >>> distillation_text(found)
    'distillation: agreement 0.900 to 0.950, divergence 0.08 to 0.02 on 64 held-out samples, \
800 steps in 300 s'
    """
    changes = [
        f"{found['measure']} {found['likeness_before']:.3f} to {found['likeness_after']:.3f}",
        f"divergence {found['divergence_before']:.3g} to {found['divergence_after']:.3g}",
    ]
    kept = "" if found["kept"] else "not kept, as it is no better: "
    effort = f"{found['steps']} steps in {found['seconds']:.0f} s"
    on = f"on {found['held_out']} held-out samples"
    return f"distillation: {kept}{', '.join(changes)} {on}, {effort}"
