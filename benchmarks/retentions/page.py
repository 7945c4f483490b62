"""The rows as Markdown tables, and their place in docs/results.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .comparing import Pair, pairs_of, told_apart
from .goals import goals_text
from .methods import (
    CHIP,
    FLOAT,
    INT8,
    METHODS,
    MIXED,
    MMSE,
    NNCF,
    NORMAL,
    ORT_MINMAX,
    PEERS,
    PRUNED,
    W4A16,
)
from .published import MARKS, SOURCES
from .rows import Row, Rows
from .significance import Figure, metric_of, retention
from .subjects import Subject

_BEGIN, _END = "<!-- tables: begin -->", "<!-- tables: end -->"
_HEADS = {
    NORMAL: "toolkit normal",
    MMSE: "toolkit mmse",
    ORT_MINMAX: "ONNX Runtime",
    NNCF: "NNCF",
    INT8: "**rockpress int8**",
    MIXED: "rockpress mixed",
    PRUNED: "rockpress pruned",
    W4A16: "rockpress w4a16",
}
_BUILT = tuple(name for name in (FLOAT, *_HEADS) if name not in (ORT_MINMAX, NNCF))
_LEAD = 1.0  # dB by which a peer may be closer without being named
_SLOWER = 5  # per cent
_SAID = 120  # letters of an error

Placed = dict[tuple[str, str, str], Row]


def tables_of(subjects: Sequence[Subject], rows: Rows) -> str:
    """Return all tables of the subjects whose float row is there."""
    by_place = {(row.model, row.method, row.place): row for row in _current(subjects, rows)}
    measured = [subject for subject in subjects if (subject.name, FLOAT, CHIP) in by_place]
    pairs = pairs_of([subject.name for subject in measured], by_place)
    parts = (
        _retentions(measured, by_place),
        _failures(by_place),
        told_apart(pairs),
        goals_text(measured, by_place),
        _pairs(measured, pairs),
        _noise(measured, by_place),
        _costs(measured, by_place),
        _marks(by_place),
    )
    return "\n\n".join(filter(None, parts))


def write_tables(page: Path, tables: str) -> None:
    """Write the tables between the two marks of a page, and nothing else of it."""
    text = page.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    page.write_text(f"{before}{_BEGIN}\n\n{tables}\n\n{_END}{after}")


def _current(subjects: Sequence[Subject], rows: Rows) -> list[Row]:
    """Return the rows with the subjects' numbers of samples."""
    counts = {subject.name: (subject.calib, subject.test) for subject in subjects}
    return [row for row in rows.values() if counts.get(row.model) == (row.calib, row.test)]


def _retentions(subjects: Sequence[Subject], rows: Placed) -> str:
    head = ("model", "task", "metric", "samples", "float", *_HEADS.values())

    def line(subject: Subject) -> list[str]:
        base = rows[subject.name, FLOAT, CHIP]
        count = f"{subject.test} of {len(set(base.sources))}"
        value = _percent(metric_of(base, base.sources)) if subject.has_labels else ""
        retentions = [_retention(_row_of(rows, subject.name, method), base) for method in _HEADS]
        return [subject.name, subject.task, subject.metric, count, value, *retentions]

    return _table("What is kept, per cent of the float model's metric", head, subjects, line)


def _failures(rows: Placed) -> str:
    """Say what failed, each with the end of what it said; nothing where nothing did."""
    failed = [row for row in rows.values() if row.error]
    lines = [f"- {row.model}, {row.method}: `{row.error[-_SAID:].strip()}`" for row in failed]
    return "\n".join(["Failed:\n", *lines]) if lines else ""


def _pairs(subjects: Sequence[Subject], pairs: Sequence[Pair]) -> str:
    head = ("model", *(_HEADS[peer] for peer in PEERS))
    by_name = {(pair.model, pair.peer): pair for pair in pairs}

    def line(subject: Subject) -> list[str]:
        cells = [by_name.get((subject.name, peer)) for peer in PEERS]
        return [subject.name, *(_gap(pair) if pair else "" for pair in cells)]

    return _table("rockpress int8 less each peer, points", head, subjects, line)


def _noise(subjects: Sequence[Subject], rows: Placed) -> str:
    names = (NORMAL, MMSE, INT8, MIXED, PRUNED, W4A16)
    heads = (*(_HEADS[name] for name in names), "ONNX Runtime", "NNCF", "rockpress int8 there")

    def line(subject: Subject) -> list[str]:
        placed = [_row_of(rows, subject.name, name) for name in (*names, ORT_MINMAX, NNCF)]
        there = rows.get((subject.name, INT8, PEERS[ORT_MINMAX]))
        return [subject.name, *(_decibels(row) for row in (*placed, there))]

    table = _table("Closeness to the float model, dB", ("model", *heads), subjects, line)
    ahead = [f"- {_HEADS[peer]}: {_ahead(peer, subjects, rows)}" for peer in PEERS]
    return "\n".join([table, f"\nMore than {_LEAD:g} dB closer than rockpress int8:\n", *ahead])


def _costs(subjects: Sequence[Subject], rows: Placed) -> str:
    head = ("model", "float16", *(_HEADS[name] for name in _BUILT[1:]))

    def line(subject: Subject) -> list[str]:
        return [subject.name, *(_cost(_row_of(rows, subject.name, name)) for name in _BUILT)]

    table = _table("Milliseconds (estimated) / MB / seconds to make it", head, subjects, line)
    text = ", ".join(name for each in subjects if (name := _slower(each.name, rows))) or "no model"
    verdict = f"rockpress int8 is estimated more than {_SLOWER} % slower than normal on: {text}."
    return f"{table}\n\n{verdict}"


def _marks(rows: Placed) -> str:
    head = ("model", "here, int8", "Hailo-8", "Axelera", "NNCF", "ESP-DL", "RK3588's own")
    lines = []
    for mark in MARKS:
        base, row = (rows.get((mark.ours, name, CHIP)) for name in (FLOAT, INT8))
        ours = _retention(row, base) if base else ""
        theirs = (mark.hailo, mark.axelera, mark.nncf, mark.esp_dl, mark.rk3588)
        lines.append([mark.model, ours, *theirs])
    table = f"## Published marks, per cent\n\n{_lines(head, lines)}"
    return "\n".join([f"{table}\n", "Sources:\n", *(f"- {source}" for source in SOURCES)])


def _row_of(rows: Placed, model: str, method: str) -> Row | None:
    """Return the row at the method's first place."""
    place = next(each.runtimes[0] for each in METHODS if each.name == method)
    return rows.get((model, method, place))


def _ahead(peer: str, subjects: Sequence[Subject], rows: Placed) -> str:
    """Return the models on which a peer is closer, each with both figures; none is said."""
    models = []
    for subject in subjects:
        ours, theirs = (rows.get((subject.name, name, PEERS[peer])) for name in (INT8, peer))
        if not ours or not theirs or ours.sqnr_db is None or theirs.sqnr_db is None:
            continue
        if theirs.sqnr_db - ours.sqnr_db > _LEAD:
            models.append(f"{subject.name} ({_decibels(theirs)} and {_decibels(ours)} dB)")
    return ", ".join(models) or "on no model"


def _slower(model: str, rows: Placed) -> str:
    """Return the model with both times, where rockpress's is the longer one; else nothing."""
    ours, theirs = (rows.get((model, name, CHIP)) for name in (INT8, NORMAL))
    if ours is None or theirs is None or not ours.ms or not theirs.ms:
        return ""
    is_slower = ours.ms > theirs.ms * (1 + _SLOWER / 100)
    return f"{model} ({ours.ms:.2f} and {theirs.ms:.2f} ms)" if is_slower else ""


def _retention(row: Row | None, base: Row) -> str:
    if row is None:
        return ""
    return "failed" if row.error else _percent(retention(row, base))


def _percent(figure: Figure) -> str:
    return f"{figure.value:.1%} ({figure.low * 100:.1f} to {figure.high * 100:.1f})".replace(
        "%", " %"
    )


def _gap(pair: Pair) -> str:
    figure = pair.gap.figure
    interval = f"{figure.low * 100:+.1f} to {figure.high * 100:+.1f}"
    text = f"{figure.value * 100:+.1f} ({interval}), p {pair.corrected:.2g}"
    return f"**{text}**" if pair.is_sure else text


def _decibels(row: Row | None) -> str:
    return "" if row is None or row.sqnr_db is None else f"{row.sqnr_db:.1f}"


def _cost(row: Row | None) -> str:
    if row is None or row.error or not row.size:  # a float row's metric is none of a build
        return "" if row is None else "failed"
    ms = f"{row.ms:.2f}" if row.ms else "?"
    return f"{ms} / {row.size / 1e6:.2f} / {row.seconds:.0f}"


def _table(
    title: str,
    head: Sequence[str],
    subjects: Sequence[Subject],
    line: Callable[[Subject], list[str]],
) -> str:
    return f"## {title}\n\n{_lines(head, [line(subject) for subject in subjects])}"


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = f"| {' | '.join(head)} |\n|{'---|' * len(head)}"
    return "\n".join([first, *(f"| {' | '.join(cells)} |" for cells in rows)])
