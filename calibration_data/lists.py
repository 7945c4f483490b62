"""A list file with one path a line, and a CSV file with a path and a label a line."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from ..core.errors import SamplesError
from .natural_sort import natural_key
from .source_types import ImageFiles, Labels, Source, TensorFiles

# A list of a million paths of 250 characters; anything larger is not a list.
MAX_LIST_BYTES = 256 * 2**20

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)
_SHOWN = 40


def open_list(path: Path) -> Source:
    """Read a .txt list: one path a line, relative to the list's folder; # starts a comment line.

    It is the toolkit's dataset.txt too, but for its lines with several inputs. Raises SamplesError
    with the line number for a missing file, and for a list without any.
    """
    found: list[Path] = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            found.append(_listed_file(entry, path, number))
    if not found:
        raise SamplesError(f"{path}: the list holds no files", "give one path a line")
    return _file_source(found, None, path)


def open_csv(path: Path) -> Source:
    """Read a CSV file with the columns path and label; text labels count in natural sort order.

    Raises SamplesError with the line number for a missing file or a label that is not one.
    """
    rows = _csv_rows(path)
    if not rows:
        raise SamplesError(f"{path}: the table holds no samples", "give one path,label a line")
    files = [_file_in(path.parent, file, path, number) for number, file, _ in rows]
    labels = _labels([(number, label) for number, _, label in rows], path)
    return _file_source(files, labels, path)


def _file_source(files: list[Path], labels: Labels | None, path: Path) -> Source:
    tensors = sum(file.suffix.lower() == ".npy" for file in files)
    if tensors not in (0, len(files)):
        raise SamplesError(
            f"{path}: lists {tensors} .npy files among {len(files)}",
            "list images or .npy, not both",
        )
    return TensorFiles(tuple(files), labels) if tensors else ImageFiles(tuple(files), labels)


def _listed_file(entry: str, path: Path, number: int) -> Path:
    whole = path.parent / entry
    first = entry.split()[0]
    # a path with a space is fine; only when there is no such file are several inputs meant
    if not _is_file(whole) and _is_file(path.parent / first):
        raise SamplesError(
            f"{path}:{number}: several inputs on a line are not supported: {_short(entry)}",
            "give models with several inputs an .npz with one array an input, labels a labels.csv",
        )
    return _file_in(path.parent, entry, path, number)


def _file_in(folder: Path, entry: str, path: Path, number: int) -> Path:
    file = folder / entry
    if not _is_file(file):
        raise SamplesError(
            f"{path}:{number}: there is no file {_short(entry)}",
            f"paths are relative to {folder}",
        )
    return file


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or a NUL character in it
        return False


def _csv_rows(path: Path) -> list[tuple[int, str, str]]:
    """Line number, path and label of every row."""
    try:
        reader = csv.DictReader(io.StringIO(_read_text(path), newline=""))
        columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
        if not {"path", "label"} <= set(columns):
            raise SamplesError(
                f"{path}: the columns are {', '.join(columns)[:200] or 'missing'}",
                "the first line must name the columns path and label: path,label",
            )
        reader.fieldnames = columns
        return [
            (reader.line_num, (row["path"] or "").strip(), (row["label"] or "").strip())
            for row in reader
        ]
    except csv.Error as error:
        raise SamplesError(f"{path}: not a CSV table: {error}", "save it as CSV again") from error


def _labels(texts: list[tuple[int, str]], path: Path) -> Labels:
    numeric = [bool(_NUMBER.fullmatch(text)) for _, text in texts]
    for (number, text), is_number in zip(texts, numeric, strict=True):
        if not text:
            raise SamplesError(f"{path}:{number}: the label is missing", "give every row a label")
        if any(numeric) and not (is_number and re.fullmatch(r"\+?[0-9]{1,18}", text)):
            raise SamplesError(
                f"{path}:{number}: the label {_short(text)} is not a non-negative integer",
                "use class indices from 0, or names in every row",
            )
    if any(numeric):
        return np.array([int(text) for _, text in texts], dtype=np.int64)
    names = sorted({text for _, text in texts}, key=natural_key)
    index = {name: place for place, name in enumerate(names)}
    return np.array([index[text] for _, text in texts], dtype=np.int64)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise SamplesError(
                f"{path}: {path.stat().st_size / 2**20:.0f} MB is too large for a list",
                f"the limit is {MAX_LIST_BYTES // 2**20} MB",
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror or error}", "check the path") from error
    except UnicodeDecodeError as error:
        raise SamplesError(f"{path}: not a text file in UTF-8", "save it as UTF-8") from error


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
