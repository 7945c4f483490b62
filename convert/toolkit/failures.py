"""How a job of rknn-toolkit2 ends: each failure has a name, a message and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.cpu_time import MORE_CPU_TIME, spent_cpu_time
from ...core.diagnostics import option
from ...core.errors import ToolkitError
from .last_words import complaint, last_error_line, last_words
from .own_settings import refused_setting

_RULE = re.compile(r"rules[\w.]*?\._p_(\w+)")
_MEMORY = re.compile(
    r"MemoryError|bad_alloc|[Uu]nable to allocate|[Cc]annot allocate memory|"
    r"failed to map segment|[Ff]ailed to allocate|[Oo]ut of memory|can't start new thread"
)
# what a process does to itself; any other signal is sent by somebody, or by the system
_FAULTS = {
    *(signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGSYS, signal.SIGTRAP),
}
_NEARLY_ALL = 0.98
_STAGES = {
    "start": "be started for",
    "import": "be imported for",
    "config": "take the settings of",
    "calibrate": "calibrate",
    "load": "load",
    "build": "build",
    "export": "export",
    "simulator": "start the simulator for",
    "simulate": "simulate",
}
_HINTS = (
    (
        r"\[Errno (27|28|122)\]",
        "make space in the temporary folder, or set TMPDIR to a folder that has some",
    ),
    (
        r"need to be constant|dynamic graph",
        f"cut the graph before the node with {option('outputs')}, or fix the input shapes",
    ),
    (r"opset.*need <= ?19", "export the model with opset 19 or lower"),
    (
        r"INVALID_GRAPH|No Op registered|not support",
        "replace the operator, or cut the graph before it",
    ),
    (
        r"Type \(tensor\(float\)\) of output arg .* does not match expected type",
        f"end the model before the operator that makes this output with {option('outputs')}",
    ),
    (r"'torch' has no attribute", "this algorithm needs PyTorch: pip install 'torch<=2.4'"),
    (r"No module named 'pkg_resources'", "pip install 'setuptools<81'"),
    (r"no attribute 'mapping'", "pip install 'onnx>=1.16.1,<1.19'"),
    (r"NaN", "the model computes NaN: check its weights and the calibration samples"),
)
_GENERAL_HINT = (
    f"the log has the toolkit's own words; try another version with {option('toolkit-python')}"
)


class ToolkitMissing(ToolkitError):
    """There is no interpreter, no toolkit in it, or one that cannot be imported."""


class ToolkitRefused(ToolkitError):
    """The toolkit returned -1."""


class ToolkitSettingRefused(ToolkitError):
    """The toolkit has no setting of the name that was asked for, or of another type."""


class ToolkitRaised(ToolkitError):
    """The toolkit raised an exception; ``rule`` is the optimisation rule it was in, or None."""

    rule: str | None = None


class ToolkitExited(ToolkitError):
    """The toolkit called exit()."""


class ToolkitCrashed(ToolkitError):
    """A signal ended the toolkit's process."""

    signal: int = 0


class ToolkitEnded(ToolkitError):
    """A signal from outside ended the toolkit's process: that says nothing of the model."""


class ToolkitOutOfMemory(ToolkitError):
    """The toolkit needs more memory than it was given."""


class ToolkitTimeout(ToolkitError):
    """The toolkit took longer than it was given."""


class ToolkitHung(ToolkitError):
    """The toolkit stopped using the processor, and did not end."""


class ToolkitLooped(ToolkitError):
    """Optimisation rules of the toolkit undo each other's work; without ``rule`` it would end."""

    rule: str = ""


class ToolkitNotFinite(ToolkitError):
    """The simulator computes NaN or infinity where the model itself does not."""


class ToolkitSilent(ToolkitError):
    """The toolkit reported success, but the file it should have written is not there."""


@dataclass(frozen=True)
class Limits:
    """Of one job: wall-clock seconds, gigabytes of address space, seconds without any work.

    A child that has used no CPU time for ``idle`` seconds hangs, and will not come back.
    """

    timeout: float
    memory_gb: float
    idle: float = 120


@dataclass(frozen=True)
class Outcome:
    """How a job ended. ``code`` is None when it was stopped: at its time limit, or before.

    ``looping`` names the optimisation rule without which it would have come to an end.
    """

    code: int | None
    stage: str
    hung: bool = False
    looping: str = ""


@dataclass(frozen=True)
class Ending:
    """All there is to know about a job that ended."""

    label: str  # "model.onnx for rk3588"
    outcome: Outcome
    result: Mapping[str, Any]
    log: str
    limits: Limits


def failure_of(end: Ending) -> ToolkitError | None:
    """Return the error that tells how the child ended, or None when it succeeded."""
    code = end.outcome.code
    if code is None:
        return _endless(end) if end.outcome.looping or end.outcome.hung else _timeout(end)
    if "failure" not in end.result and end.result:
        return None
    text = end.result.get("text", "")
    if _is_full(end) or _MEMORY.search(text or end.log[-4000:]):
        return _out_of_memory(end)
    if code < 0:
        return _crash(end, -code) if -code in _FAULTS else _ended(end, -code)
    if not end.result:
        return _exit(end, str(code))
    if end.result["failure"] == "KeyboardInterrupt":  # in a session of its own: by itself
        return _ended(end, signal.SIGINT)
    return _orderly(end, end.result["failure"], text)


def _is_full(end: Ending) -> bool:
    """Whatever an allocation that failed was turned into on its way up: a SyntaxError was seen."""
    return bool(end.result.get("peak", 0) > _NEARLY_ALL * end.limits.memory_gb * (1 << 30))


def _orderly(end: Ending, kind: str, text: str) -> ToolkitError:
    reason = complaint(text, end.log) or kind
    if end.result["stage"] == "import":
        hint = _hint(text, "rockpress doctor says what is missing")
        return ToolkitMissing(f"rknn-toolkit2 cannot be imported: {reason}", hint, end.log)
    if kind == "SystemExit":
        return _exit(end, reason)
    message = f"{_could_not(end)}: {reason}"
    if kind in ("UnknownSetting", "MistypedSetting"):
        message, hint = refused_setting(kind, text, end.result.get("toolkit", ""))
        return ToolkitSettingRefused(message, hint)
    if kind == "Refused":
        return ToolkitRefused(message, _hint(f"{text} {reason}"), end.log)
    rules = _RULE.findall(text)
    if "'torch' has no attribute" in text and not rules:
        return ToolkitMissing(f"{_could_not(end)} without PyTorch", _hint(text), end.log)
    error = ToolkitRaised(message, _hint(text), end.log)
    error.rule = rules[-1] if rules else None
    return error


def _timeout(end: Ending) -> ToolkitError:
    return ToolkitTimeout(
        f"{_could_not(end)} within {end.limits.timeout:g} s",
        f"give it longer with {option('timeout')}, or fewer calibration samples with "
        f"{option('calib-count')}",
        end.log,
    )


def _endless(end: Ending) -> ToolkitError:
    if rule := end.outcome.looping:
        error = ToolkitLooped(
            f"{_could_not(end)}: its optimisation rule {rule} runs again and again",
            f"another version of the toolkit may build it: {option('toolkit-python')}",
            end.log,
        )
        error.rule = rule
        return error
    return ToolkitHung(
        f"{_could_not(end)}: it hung, using no processor time for {end.limits.idle:g} s",
        "try again; if it hangs again, another version of the toolkit with "
        f"{option('toolkit-python')}",
        end.log,
    )


def _out_of_memory(end: Ending) -> ToolkitError:
    return ToolkitOutOfMemory(
        f"{_could_not(end)} within {end.limits.memory_gb:g} GB of memory",
        f"raise {option('memory-limit')}, or use fewer calibration samples with "
        f"{option('calib-count')}",
        end.log,
    )


def _crash(end: Ending, number: int) -> ToolkitError:
    name = signal.Signals(number).name
    error = ToolkitCrashed(
        f"{_could_not(end)}: it crashed ({name})",
        f"quantize another way ({option('toolkit-quantizer', 'normal')}), or raise "
        f"{option('memory-limit')} if that is low",
        end.log,
    )
    error.signal = number
    return error


def _ended(end: Ending, number: int) -> ToolkitError:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    hint = f"use fewer {option('jobs')}, or close other programs"
    reason = "the system ran out of memory"
    if spent := spent_cpu_time(number):
        reason, hint = f"it has used {spent}", MORE_CPU_TIME
    return ToolkitEnded(
        f"{_could_not(end)}: something else ended it ({name})",
        f"if nobody did, {reason}: {hint}",
        end.log,
    )


def _exit(end: Ending, code: str) -> ToolkitError:
    reason = last_error_line(end.log) or last_words(end.log) or f"exit({code})"
    return ToolkitExited(f"{_could_not(end)}: it gave up ({reason})", _hint(reason), end.log)


def _could_not(end: Ending) -> str:
    version = end.result.get("toolkit", "")
    tool = f"rknn-toolkit2 {version}".strip()
    stage = end.outcome.stage
    return f"{tool} could not {_STAGES.get(stage, stage)} {end.label}"


def _hint(text: str, general: str = _GENERAL_HINT) -> str:
    return next((hint for pattern, hint in _HINTS if re.search(pattern, text)), general)
