"""Results of several runs side by side, read from their reports or from ``.rknn`` files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..convert.latency.bands import ratio_band
from ..convert.manifest import manifest_path
from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError, ReportError, RockpressError
from ..core.files import real_path
from ..core.results.report import Report
from ..report.comparison.compared_result import ComparedResult, OpenedResult, SideBySide
from ..report.comparison.opened_results import failed_result, names_of, results_of
from ..report.comparison.side_by_side import side_by_side
from .figures.build_figures import latency_figures, layer_rows, throughput_figures
from .figures.report_files import read_report_files
from .inspection import inspect_rknn
from .left_reports import is_left_file
from .run import REPORT_FILE

_RKNN = ".rknn"
_MOST_RESULTS = 100  # a table of more tells nothing
_MOST_FOLDERS = 10_000  # that are looked into for reports
_GIVE = (
    f"give report.json of runs, what {option('report', 'FILE.json')} wrote, folders of runs, or "
    ".rknn files"
)
Outcome = Report | RockpressError


def compare_files(paths: Sequence[Path]) -> SideBySide:
    """Return what is in files and folders side by side; the first result is the reference.

    A folder means the report.json in it and those of results that later runs left there, or else
    all such below it; what is given twice counts once, so
    that a folder may follow what of it is the reference. Raises ReportError or ModelError for
    a file that cannot be read, OptionError where there is only one result.
    """
    places: dict[Path, Path] = {}
    for path in paths:
        for file in _files_of(path):
            places.setdefault(real_path(file), file)
    files, names = list(places.values()), names_of(list(places))
    warnings: list[Diagnostic] = []
    opened: list[OpenedResult] = []
    for file, name in zip(files, names, strict=True):
        opened += _of_rknn(file, name, warnings) if _is_rknn(file) else _of_reports(file, name)
        if len(opened) > _MOST_RESULTS:
            raise OptionError(f"these are more than {_MOST_RESULTS} results", "give fewer of them")
    if len(opened) < 2:
        raise OptionError(
            f"there is one result to compare: {files[0]}",
            "give another report, folder or .rknn to compare it with",
        )
    return side_by_side(opened, ratio_band, warnings)


def compare_models(
    outcomes: Mapping[str, Outcome], folder: Path, links: Mapping[str, str]
) -> SideBySide:
    """Return the results of one run of several models side by side.

    ``links`` leads to the page of each by its name.
    """
    opened: list[OpenedResult] = []
    for name, outcome in outcomes.items():
        opened += _of_outcome(outcome, name, str(folder / name / REPORT_FILE), links.get(name))
    return side_by_side(opened, ratio_band)


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / REPORT_FILE).is_file():
        return _reports_of(path, (file.name for file in path.iterdir()))
    files = list(_reports_below(path))
    if not files:
        raise ReportError(f"{path}: there is no {REPORT_FILE} in this folder or below it", _GIVE)
    return files


def _reports_of(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the reports among the names in a folder, that of the last run first."""
    left = sorted(name for name in names if is_left_file(name))
    last = [REPORT_FILE] if (folder / REPORT_FILE).is_file() else []
    return [folder / name for name in (*last, *left)]


def _reports_below(path: Path) -> Iterator[Path]:
    """Yield the reports in the folders below, links not followed. Raises OptionError for many."""
    count = 0
    for number, (folder, folders, names) in enumerate(os.walk(path)):
        folders.sort()
        reports = _reports_of(Path(folder), names)
        count += len(reports)
        yield from reports
        if number > _MOST_FOLDERS or count > _MOST_RESULTS:
            raise OptionError(
                f"{path}: there are more than {_MOST_RESULTS} reports or {_MOST_FOLDERS} folders "
                "in it",
                "give the reports that are to be compared",
            )


def _is_rknn(file: Path) -> bool:
    return file.suffix.lower() == _RKNN


def _of_reports(file: Path, name: str) -> list[OpenedResult]:
    outcomes = read_report_files(file, _GIVE)
    return [
        opened
        for model, outcome in outcomes.items()
        for opened in _of_outcome(outcome, f"{name} {model}".strip(), str(file), None)
    ]


def _of_outcome(outcome: Outcome, name: str, file: str, link: str | None) -> list[OpenedResult]:
    if isinstance(outcome, RockpressError):
        return [failed_result(outcome, name, file)]
    return results_of(outcome, name, file, link)


def _of_rknn(file: Path, name: str, warnings: list[Diagnostic]) -> list[OpenedResult]:
    """Return a ``.rknn`` by its manifest; without one there is a warning and hardly a figure."""
    inspection = inspect_rknn(file)
    size, facts, manifest = file.stat().st_size, inspection.file, inspection.manifest
    if manifest is None or inspection.disagreements:
        text = f"{file}: there is no manifest ({manifest_path(file).name}) beside it"
        if manifest is not None:
            text = f"{file}: the manifest beside it is that of another file"
        hint = "without it the layers, the time and the number format are not known"
        warnings.append(Diagnostic("compare-manifest", text, hint))
        alone = ComparedResult(
            *(name, str(file), file.stem, facts.target), toolkit=facts.toolkit, bytes=size
        )
        return [OpenedResult(alone)]
    latency = latency_figures(manifest)
    result = ComparedResult(
        *(name, str(file), file.stem, manifest.target),
        scheme=manifest.dtype,
        toolkit=manifest.toolkit,
        bytes=size,
        digest=manifest.digests.get("source"),
        origin=manifest.digests.get("origin"),
        cycles=manifest.cycles,
        latency=latency[0] if latency else None,
        throughput=throughput_figures(manifest),
        memory=manifest.memory,
    )
    return [OpenedResult(result, layer_rows(manifest))]
