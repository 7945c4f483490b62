"""The report of an earlier run, where it is about results that a new one leaves in the folder.

``report.json`` is of the last run. What it said of another chip, or of another model, is all that
tells what those files are worth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath

from ..convert.chips.targets import TARGET_NAMES
from ..core.errors import ReportError
from ..core.results.report import Report
from ..core.text_files import UnreadableFile, read_json
from .figures.report_files import read_report_file


def left_file(stem: str, target: str) -> str:
    """Return the name of the report of a model on a chip that is not in report.json any more."""
    return f"report-{stem}-{target}.json"


def is_left_file(name: str) -> bool:
    """Return whether a file is called like the report of a result that was left in its folder.

    >>> is_left_file("report-yolo-n-rk3588.json"), is_left_file("report-old.json")
    (True, False)
    """
    begin, _, target = PurePath(name).stem.rpartition("-")
    return begin.startswith("report-") and name.endswith(".json") and target in TARGET_NAMES


def left_reports(file: Path, stem: str, targets: Collection[str]) -> Iterator[tuple[str, Report]]:
    """Yield a name and a report for each other result that ``file`` is about and that still lies
    beside it, when a run makes that of the model ``stem`` for ``targets``.

    What cannot be read is about nothing.
    """
    if _is_replaced(file, stem, targets):
        return
    with suppress(ReportError):
        earlier = read_report_file(file, "")
        old_stem = PurePath(str(earlier.recipe.get("model"))).stem
        for target in earlier.targets:
            name = target.target
            if name not in TARGET_NAMES or (old_stem == stem and name in targets):
                continue
            if (file.parent / name / f"{old_stem}.rknn").is_file():
                steps = earlier.next if len(earlier.targets) == 1 else ()
                report = replace(earlier, targets=(target,), next=steps)
                yield left_file(old_stem, name), report


def _is_replaced(file: Path, stem: str, targets: Collection[str]) -> bool:
    """Return whether all of a report is about these results, without checking it: that takes long.

    False where that cannot be told.
    """
    with suppress(UnreadableFile, KeyError, TypeError):
        document = read_json(file)
        names = {target["target"] for target in document["targets"]}
        return PurePath(document["recipe"]["model"]).stem == stem and names <= set(targets)
    return False
