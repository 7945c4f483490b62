"""One trial in a process of its own: rockpress itself on the recipe of a point.

What crashes, hangs or runs out of memory there is that trial's failure, and nobody else's.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import FROM_OUTSIDE
from ...core.files import write_text
from ...core.proportion import proportion_interval
from ...core.results.report import ALIVE, FIDELITY, Report, TargetReport
from ...core.text_files import UnreadableFile, read_json
from ...core.validation import Malformed
from ...report.documents.report_reader import read_report
from .points import Failure, Measure, Outcome
from .trial_limits import TrialLimits, wait_within

RECIPE_FILE, REPORT_FILE, LOG_FILE = "recipe.toml", "report.json", "log.txt"
_LOG = re.compile(r"^log: (.*/rockpress-\w+\.log)$", re.MULTILINE)
_GATE_FAILED = 4
_LONGEST_REASON = 200
_BUG = "a bug in rockpress: "
_MOST_RETRIES = 2  # of a trial that somebody else has ended
_LONGEST_WORDS = 1 << 16
_CHILD = Path(__file__).with_name("trial_child.py")
# sent from outside: they say nothing of the point
_SENT = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# what numerical libraries take as the number of their threads
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class TrialJob:
    """A recipe to run, the folder for what it makes, and the threads that it may use.

    ``goal`` is the cost that is measured, latency or size. ``program`` are the words of Python
    that run a recipe.
    """

    recipe: str
    folder: Path
    threads: int
    goal: str
    limits: TrialLimits = TrialLimits()
    program: tuple[str, ...] = ("-m", __package__.partition(".")[0])


def run_trial(job: TrialJob, started: Callable[[subprocess.Popen[bytes]], None]) -> Outcome:
    """Run a trial and return what it measured; ``started`` is given each process of it.

    One that was ended from outside says nothing of its point: it is run again, twice at most. Its
    thread must live as long as it does, see trial_child.py. Raises OutputError when its recipe
    cannot be written; all else is a Failure. What a failure has logged is in log.txt then.
    """
    write_text(job.folder / RECIPE_FILE, job.recipe)
    for _ in range(1 + _MOST_RETRIES):
        reason, is_from_outside = _run(["run", RECIPE_FILE, "-o", ".", "-q"], job, started)
        if not is_from_outside:
            break
    if reason:
        return Failure(reason)
    try:
        report = read_report(read_json(job.folder / REPORT_FILE))
    except (UnreadableFile, Malformed) as error:
        return Failure(f"its report cannot be read: {error}"[:_LONGEST_REASON])
    return outcome_of(report, job.goal)


def _run(
    words: Sequence[str], job: TrialJob, started: Callable[[subprocess.Popen[bytes]], None]
) -> tuple[str, bool]:
    """Run rockpress in the trial's folder; return what was wrong, and whether that was sent."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, str(_CHILD), str(os.getpid()), *job.program, *words],
            cwd=job.folder,
            env=_environment(job.threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        started(process)
        excess = wait_within(job.limits, process)
        errors.seek(0)
        said = errors.read(_LONGEST_WORDS).decode(errors="replace")
    _keep_log(said, job.folder)
    code = process.returncode
    reason = _reason(code, said)
    is_sent = -code in _SENT or code - 128 in _SENT or FROM_OUTSIDE in reason
    return excess or reason, is_sent and not excess


def _environment(threads: int) -> dict[str, str]:
    """Return that of a trial, in whose folder relative paths of modules would be others."""
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "NO_COLOR": "1"}
    if paths := environment.get("PYTHONPATH"):
        absolute = map(os.path.abspath, paths.split(os.pathsep))
        environment["PYTHONPATH"] = os.pathsep.join(absolute)
    return environment


def _keep_log(errors: str, folder: Path) -> None:
    """Move the log that an error names, whose name nobody would see, out of the temporary one."""
    for path in map(Path, _LOG.findall(errors)):
        if path.parent == Path(tempfile.gettempdir()):
            with suppress(OSError):
                shutil.move(path, folder / LOG_FILE)


def _reason(code: int, errors: str) -> str:
    """Return what the command said was wrong, or how it ended; "" where nothing was."""
    if code in (0, _GATE_FAILED):
        return ""
    for line in errors.splitlines():
        before, mark, text = line.partition("error: ")
        if mark and before in ("", "rockpress: "):
            return text.strip()[:_LONGEST_REASON]
        if line.startswith(_BUG):
            return line[:_LONGEST_REASON]
    number = -code if code < 0 else code - 128
    return f"ended by signal {number}" if number > 0 else f"ended with exit code {code}"


def outcome_of(report: Report, goal: str) -> Outcome:
    """Return what a report of one target says of cost and retention.

    The retention is that of the metric, and without labels the agreement with the original model.
    """
    (target,) = report.targets
    if target.error is not None:
        return Failure(target.error.message[:_LONGEST_REASON])
    for gate in target.gates:
        if gate.name in (ALIVE, FIDELITY) and not gate.passed:
            return Failure(f"gate {gate.name} does not hold: {gate.value:g}, below {gate.limit:g}")
    figures = figures_of(target)
    cost = figures.get("ms" if goal == "latency" else "bytes")
    if cost is None:
        return Failure(f"there is no figure of its {goal}")
    retention = target.retention
    if retention.value is not None:
        low = retention.value if retention.low is None else retention.low
        high = retention.value if retention.high is None else retention.high
        return Measure(cost, retention.value, low, high, figures)
    if retention.agreement is None:
        return Failure("neither its metric nor its agreement with the original can be measured")
    low, high = proportion_interval(retention.agreement, retention.samples)
    return Measure(cost, retention.agreement, low, high, figures)


def figures_of(target: TargetReport) -> dict[str, float]:
    """Return the plain figures of a result: ms with its band, bytes, SQNR in dB, agreement.

    And the metric of the float model on the same samples.
    """
    result, accuracy = target.models[-1], target.models[0].accuracy
    figures: dict[str, Any] = {"bytes": float(result.bytes)}
    figures["float_metric"] = None if accuracy is None else accuracy.value
    for latency in result.latency:
        if latency.kind in ("npu-estimate", "board") and latency.ms is not None:
            figures |= {"ms": latency.ms, "ms_low": latency.low, "ms_high": latency.high}
    figures |= {"sqnr_db": target.retention.sqnr_db, "agreement": target.retention.agreement}
    finite = {name: value for name, value in figures.items() if value is not None}
    return {name: float(value) for name, value in finite.items() if abs(value) < float("inf")}
