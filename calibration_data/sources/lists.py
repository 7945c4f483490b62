"""A list file with one path a line, and a CSV file with a path and a label a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from ...core.errors import SamplesError
from .label_files import MaskFiles
from .label_texts import read_text, short
from .labels import Labels
from .source_types import ImageFiles, Source, TensorFiles


def open_list(path: Path) -> Source:
    """Read a .txt list: one path a line, relative to the list's folder; # starts a comment line.

    It is the toolkit's dataset.txt too, but for its lines with several inputs. Raises SamplesError
    with the line number for a missing file, and for a list without any.
    """
    files: list[Path] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            files.append(_listed_file(entry, path, number))
    if not files:
        raise SamplesError(f"{path}: the list holds no files", "give one path a line")
    return _file_source(files, None, path)


def open_csv(path: Path) -> Source:
    """Read a CSV file with the columns path and label, or path and mask (a PNG file's path).

    What a label means, a class, a text or numbers, the metric says. Raises SamplesError with the
    line number for a missing file or label.
    """
    rows, column = _csv_rows(path)
    if not rows:
        raise SamplesError(f"{path}: the table holds no samples", "give one path,label a line")
    files = [_file_in(path.parent, file, path, number) for number, file, _ in rows]
    for number, _, label in rows:
        if not label:
            raise SamplesError(
                f"{path}:{number}: the {column} is missing", f"give every row a {column}"
            )
    lines = [number for number, _, _ in rows]
    if column == "mask":
        masks = tuple(_file_in(path.parent, mask, path, number) for number, _, mask in rows)
        return _file_source(files, Labels("mask", MaskFiles(masks)), path)
    texts = tuple(label for _, _, label in rows)
    labels = Labels("text", texts, origin=lambda index: f"{path}:{lines[index]}")
    return _file_source(files, labels, path)


def relocated_list(path: Path, place: Callable[[Path], str]) -> bytes:
    """Return such a list or table with what ``place`` says instead of each file's path."""
    if path.suffix.lower() != ".csv":
        files = open_list(path)
        assert isinstance(files, (ImageFiles, TensorFiles))
        # the dot keeps a name from being a comment
        return "".join(f"./{place(file)}\n" for file in files.paths).encode()
    rows, column = _csv_rows(path)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", column])
    for _, file, label in rows:
        is_mask = column == "mask"
        writer.writerow(
            [place(path.parent / file), place(path.parent / label) if is_mask else label]
        )
    return text.getvalue().encode()


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
            f"{path}:{number}: several inputs on a line are not supported: {short(entry)}",
            "give models with several inputs an .npz with one array an input, labels a labels.csv",
        )
    return _file_in(path.parent, entry, path, number)


def _file_in(folder: Path, entry: str, path: Path, number: int) -> Path:
    file = folder / entry
    if not _is_file(file):
        raise SamplesError(
            f"{path}:{number}: there is no file {short(entry)}",
            f"paths are relative to {folder}",
        )
    return file


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or a NUL character in it
        return False


def _csv_rows(path: Path) -> tuple[list[tuple[int, str, str]], str]:
    """Return line number, path and label of every row, and the name of the label's column."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
        column = "mask" if "mask" in columns and "label" not in columns else "label"
        if not {"path", column} <= set(columns):
            raise SamplesError(
                f"{path}: the columns are {', '.join(columns)[:200] or 'missing'}",
                "the first line must name the columns path and label (or mask): path,label",
            )
        reader.fieldnames = columns
        return [
            (reader.line_num, (row["path"] or "").strip(), (row[column] or "").strip())
            for row in reader
        ], column
    except csv.Error as error:
        raise SamplesError(f"{path}: not a CSV table: {error}", "save it as CSV again") from error
