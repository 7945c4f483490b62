"""What is known to go wrong with which version of rknn-toolkit2, as a table of data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from ...core.diagnostics import option, render


@dataclass(frozen=True)
class KnownIssue:
    """One fault of some versions. ``handled`` is True where rockpress works around it by itself.

    ``source`` is where it was reported, or "measured" with what.
    """

    versions: str
    what: str
    workaround: str
    source: str
    handled: bool = False


KNOWN_ISSUES: tuple[KnownIssue, ...] = (
    KnownIssue(
        ">=2.5,<2.6",
        "rules for attention (MatMul, Add, Softmax, MatMul) and for splits raise errors, so that "
        "PP-OCR recognisers, YOLO11 and YOLO26 would not build",
        "they do: a rule is switched off when it fails, with a warning",
        "measured: a PP-OCR recogniser, yolo11n and yolo26n for RK3588; also reported: "
        "github.com/airockchip/rknn-toolkit2/issues/581",
        handled=True,
    ),
    KnownIssue(
        ">=2.5,<2.6",
        "quantized (QDQ) models: every tensor without zero points, so every weight, is rounded "
        "once more on a grid that is 128/127 as wide",
        "models are handed over on a grid that makes up for it",
        "measured: one convolution with 2.5.0, not with 2.3.0 and 2.3.2",
        handled=True,
    ),
    KnownIssue(
        ">=2.2,<2.4",
        "Softmax on an RK3588 board: the model builds, but the runtime says 'failed to submit'; "
        "RK3566 and RK3576 are right",
        f"end the model before the Softmax with {option('outputs')}, or use 2.1.0",
        "reported: github.com/airockchip/rknn-toolkit2/issues/378 and 199",
    ),
    KnownIssue(
        ">=1.6,<2.4",
        "RV1106: detectors build, and give zeros on the board; 2.3.2 prints REGTASK lines",
        "compare a few outputs of the board with the simulated ones; a warning tells of REGTASK",
        "reported: github.com/rockchip-linux/rknn-toolkit2/issues/383",
    ),
)


def known_issues(version: str | None) -> tuple[KnownIssue, ...]:
    """Return what is known of a toolkit version, in the reader's words; () when it is no version.

    >>> [issue.handled for issue in known_issues("2.3.2")]
    [False, False]
    """
    try:
        parsed = Version(version or "")
    except InvalidVersion:
        return ()
    return tuple(
        replace(issue, workaround=render(issue.workaround))
        for issue in KNOWN_ISSUES
        if SpecifierSet(issue.versions).contains(parsed, prereleases=True)
    )
