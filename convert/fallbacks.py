"""What is tried, in which order, when a build fails or does not compute what was meant.

A QDQ model:

1. At optimization level 3, which joins a convolution with the Add after it and splits global
   poolings that do not fit a register. It keeps the numbers less strictly than level 2 does:
   on the demo CNN 37 dB against the intended model instead of bit for bit (36.9 instead of 36.8 dB
   against the float model), for an estimated 12 % less time (on the pruned one).
2. At level 2.
3. When the compiler crashed: at level 3 without the rule that removes conversions between float16
   and int8. Of the crashes on partly quantized models that were looked into, all but one came from
   it. Without it there are more conversions, which the layer table counts as nothing.
4. The float model, or what is inside the QDQ one, with the ranges of that, through the toolkit's
   hybrid quantization.
5. The float model, where it was given, quantized by the toolkit alone (normal).

A QDQ model that is built well at level 3, but with layers for which the NPU waits, is tried in the
hybrid way too: of two heads, one with a Softmax, the toolkit (2.5.0) reshapes the other on the CPU
before that, for 0.4 ms, and in the hybrid way after it.

Any other model: at level 3, then at level 2. The next is tried when the compiler crashed, when it
printed REGTASK lines (a value did not fit its register, so the board would compute something else
than the simulator), when the simulator computes NaN, or when it is not faithful or lossy
(fidelity.py). Of builds within 1 dB of the closest one the fastest is kept, and none that takes a
quarter longer than one that is less than 3 dB further, by the estimate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..core.diagnostics import Diagnostic, option
from ..core.errors import ToolkitError
from ..core.progress import Progress
from ..core.shortened import shortened
from .build_attempt import BuildAttempt, best_of
from .build_troubles import fidelity_trouble, not_finite, register_trouble, waiting_trouble
from .built_outputs import matched_outputs
from .compiled_model import FUSING_LEVEL
from .fidelity import Probe
from .float_source import FloatSource
from .toolkit.failures import (
    ToolkitCrashed,
    ToolkitExited,
    ToolkitHung,
    ToolkitLooped,
    ToolkitNotFinite,
    ToolkitRaised,
    ToolkitRefused,
)
from .toolkit.job import BuildResult
from .toolkit_build import ToolkitBuild, build

_EXACT_LEVEL = 2
_CONVERSION_RULE = "remove_dataconvert_for_q_op"
# what a small change of the graph may get round
_CRASHES = (ToolkitCrashed, ToolkitExited, ToolkitHung, ToolkitLooped)
# a faster build that is no further from the float model than this is offered
_WORTH_SOME_TIME_DB = 6.0
_MOST_OF_A_NAME = 60
_LONG_NAME = re.compile(rf"[^\s']{{{_MOST_OF_A_NAME},}}")
# what was done instead, and what to know of it
_INSTEAD = {
    "no-rule": (
        f"the toolkit's rule {_CONVERSION_RULE} was switched off",
        "it may be slower than estimated: conversions between float16 and int8 cost time",
    ),
    "qdq": (
        "the model was built at optimization level 2 instead",
        "it may be slower than it could be: layers are joined less at that level",
    ),
    "hybrid": (
        "the ranges were given to the toolkit's own quantizer instead (hybrid)",
        "its weights are the toolkit's: rely on the simulated figures",
    ),
    "normal": (
        "the toolkit quantized the model itself instead (normal)",
        "its accuracy differs from the quantized model's: rely on the simulated figures",
    ),
}

_NO_CLOSER = {
    False: "no other way came closer",
    True: "no other way came closer without taking far longer",
}


@dataclass(frozen=True)
class AnotherBuild(Progress):
    """Says in every step which build it is of, as they are the same in each."""

    progress: Progress
    number: int

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Pass a step on."""
        self.progress.step(f"build {self.number}, {activity}", done, total)


def build_or_fall_back(
    task: ToolkitBuild, probe: Probe, source: FloatSource | None
) -> BuildAttempt:
    """Return the first build without trouble, else the best; its warnings tell of the others.

    ``source`` is the float model of a QDQ one. Raises ToolkitError when no build succeeded.
    """
    tried: list[BuildAttempt] = []
    for variant in _tasks(task, source, tried):
        if tried:
            variant = replace(variant, progress=AnotherBuild(task.progress, len(tried) + 1))
        tried.append(_attempt(variant, len(tried), probe))
        if not tried[-1].trouble:
            break
    best = best_of(tried)
    if best.error is not None:
        raise _advised(tried[0].error or best.error, task)
    return replace(best, warnings=(*_fallback_warnings(tried, best), *best.warnings))


def _tasks(
    task: ToolkitBuild, source: FloatSource | None, tried: Sequence[BuildAttempt]
) -> Iterator[ToolkitBuild]:
    """What to try next; ``tried`` grows between one build and the next."""
    if task.quantization == "hybrid" and source is not None:
        task = _by_toolkit(task, source)
    if task.level is not None:
        yield task
        return
    yield replace(task, level=FUSING_LEVEL)
    if tried[-1].code == "toolkit-slow":
        if source is not None and task.calibrated and not task.input_sets:
            yield replace(_by_toolkit(task, source), level=FUSING_LEVEL)
        return
    if task.quantization != "hybrid":
        yield replace(task, level=_EXACT_LEVEL)
    if task.quantization == "qdq" and all(failed.code == "toolkit-crash" for failed in tried):
        yield replace(task, level=FUSING_LEVEL, disabled=(_CONVERSION_RULE,))
    if source is None or not task.calibrated or task.quantization != "qdq":
        return
    other = replace(_by_toolkit(task, source), level=FUSING_LEVEL)
    if not task.input_sets:  # hybrid forgets all but one without a word
        yield other
    if task.input_sets or not source.is_derived:
        yield replace(other, quantization="normal")


def _by_toolkit(task: ToolkitBuild, source: FloatSource) -> ToolkitBuild:
    return replace(
        task, model=source.path, loaded=source.model, plan=source.plan, quantization="hybrid"
    )


def _advised(error: ToolkitError, task: ToolkitBuild) -> ToolkitError:
    """Tell that samples would open another way, where there were none."""
    if task.quantization == "qdq" and not task.calibrated:
        hint = f"give samples with {option('calib')}: the toolkit's own quantizer may do it then"
        error.diagnostic = replace(error.diagnostic, hint=hint)
    return error


def _attempt(task: ToolkitBuild, number: int, probe: Probe) -> BuildAttempt:
    try:
        built, warnings = build(task)
    except (*_CRASHES, ToolkitRaised, ToolkitRefused) as error:
        crashed = isinstance(error, _CRASHES)
        if not number and task.quantization not in ("qdq", "hybrid") and not crashed:
            raise  # it has said why it cannot, and will say so again
        code = "toolkit-crash" if crashed else "toolkit-refusal"
        return BuildAttempt(task, code=code, trouble=error.diagnostic.text, error=error)
    match = matched_outputs(_set_aside(built, number), task.loaded)
    attempt = BuildAttempt(task, match.built, (*warnings, *match.warnings))
    return _judged(attempt, match.dropped, probe)


def _judged(attempt: BuildAttempt, dropped: Sequence[str], probe: Probe) -> BuildAttempt:
    """The attempt with what is wrong with it, if anything is."""
    built = attempt.result
    if dropped:
        text = f"the toolkit dropped {' and '.join(map(repr, dropped))}"
        return replace(attempt, code="toolkit-output-dropped", trouble=text)
    if text := not_finite(built):
        probe.require_finite_model()
        failure = ToolkitNotFinite(
            f"{attempt.task.model.name} for {attempt.task.target.name}: {text}",
            "a value may exceed 65504, the largest of float16: quantize, or rescale the model",
            built.log,
        )
        return replace(attempt, code="toolkit-nan", trouble=text, error=failure)
    if built.outputs is not None:
        attempt = replace(attempt, closeness=probe.closeness(built.outputs))
    if text := register_trouble(built):
        return replace(attempt, code="toolkit-regtask", trouble=text)
    if text := fidelity_trouble(attempt.closeness):
        return replace(attempt, code="toolkit-fidelity", trouble=text)
    is_fused = attempt.task.quantization == "qdq" and attempt.task.level == FUSING_LEVEL
    if is_fused and (text := waiting_trouble(attempt.layers)):
        return replace(attempt, code="toolkit-slow", trouble=text)
    return attempt


def _set_aside(built: BuildResult, number: int) -> BuildResult:
    """Out of the way of the next attempt, which writes to the same place."""
    target = built.rknn.with_name(f"attempt{number}.rknn")
    return replace(built, rknn=built.rknn.replace(target))


def _fallback_warnings(tried: list[BuildAttempt], best: BuildAttempt) -> Iterator[Diagnostic]:
    """What went wrong before the attempt that was kept, and what is wrong with that one."""
    warnings = [*_instead(tried, best), *_still_wrong(best, is_alone=len(tried) == 1)]
    if len(warnings) == 2 and warnings[0].code == warnings[1].code:
        before, after = warnings
        warnings = [replace(after, text=f"{before.text}; {after.text}")]
    yield from (*warnings, *_faster_build(tried[0], best))


def _instead(tried: list[BuildAttempt], best: BuildAttempt) -> Iterator[Diagnostic]:
    if best is not tried[0]:
        kind = "no-rule" if best.task.disabled else best.task.quantization
        troubles = (attempt.trouble for attempt in tried if attempt is not best)
        instead, hint = _INSTEAD.get(kind, _INSTEAD["qdq"])
        aside = _LONG_NAME.sub(_short, "; ".join(dict.fromkeys(troubles)))
        text = f"{instead}{_cost(tried[0], best)}; set aside: {aside}"
        yield Diagnostic(tried[0].code, text, hint)


def _short(name: re.Match[str]) -> str:
    """Return a tensor's name that the toolkit has joined of others; its log has it whole."""
    return shortened(name[0], _MOST_OF_A_NAME)


def _faster_build(first: BuildAttempt, best: BuildAttempt) -> Iterator[Diagnostic]:
    """What the first build would save and cost, where it was set aside for a few dB alone."""
    lost = first.closeness.lost_against(best.closeness)
    if first.code != "toolkit-fidelity" or lost is None or lost > _WORTH_SOME_TIME_DB:
        return
    times = first.milliseconds, best.milliseconds
    if times[0] is None or times[1] is None or times[0] >= times[1]:
        return
    yield Diagnostic(
        "toolkit-faster-build",
        f"a build at level {first.task.level} is estimated {times[0]:.2f} ms instead of "
        f"{times[1]:.2f}, on the first samples {lost:.1f} dB further from the float model",
        f"{option('toolkit-level', first.task.level)} takes it",
    )


def _cost(first: BuildAttempt, best: BuildAttempt) -> str:
    """What the way that was taken costs, where the first one was built too."""
    if first.built is None or best.milliseconds is None or first.milliseconds is None:
        return ""
    return f" (estimated {best.milliseconds:.2f} ms, not {first.milliseconds:.2f})"


def _still_wrong(best: BuildAttempt, *, is_alone: bool) -> Iterator[Diagnostic]:
    if best.code == "toolkit-regtask":
        yield Diagnostic(
            best.code,
            best.trouble,
            "the board may compute something else than the simulator: compare them there",
        )
    if best.code == "toolkit-fidelity":
        yield Diagnostic(
            best.code,
            best.trouble
            if is_alone
            else f"the build that is used: {best.trouble}; {_NO_CLOSER[best.is_usable]}",
            "trust the simulator's figures, not those of the quantized ONNX model",
        )
