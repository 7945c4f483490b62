"""The table of retention: its rows, its statistics and how it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quantizations.crops import with_thing
from benchmarks.quantizations.photos import Photo
from benchmarks.retention import PAGE, ROWS
from benchmarks.retentions import significance
from benchmarks.retentions.comparing import pairs_of, told_apart
from benchmarks.retentions.cutouts import text_of
from benchmarks.retentions.goals import goals_text
from benchmarks.retentions.methods import CHIP, FLOAT, INT8, METHODS, NORMAL, PEERS
from benchmarks.retentions.page import tables_of, write_tables
from benchmarks.retentions.pages import pages
from benchmarks.retentions.rows import Row, keep_row, read_rows
from benchmarks.retentions.scoring import (
    boxes_like_float,
    right_masks,
    right_neighbours,
    right_text_boxes,
)
from benchmarks.retentions.significance import gap, holm, metric_of, retention
from benchmarks.retentions.subjects import SUBJECTS

SUBJECT = replace(SUBJECTS[0], calib=4, test=40)


def row(method: str, right: Sequence[float], sources: Sequence[int] = ()) -> Row:
    ones = (1.0,) * len(right)
    blank = Row(SUBJECT.name, method, CHIP, 4, len(right), ms=1.5, size=2_000_000, sqnr_db=20.5)
    return replace(blank, right=tuple(right), of=ones, sources=tuple(sources))


BASE = row(FLOAT, [1.0] * 40, range(40))
BAD = row(INT8, [0.0] * 30 + [1.0] * 10)
GOOD = row(NORMAL, [0.0] * 2 + [1.0] * 38)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_retention_is_the_ratio_to_the_float_model() -> None:
    base = row(FLOAT, [1.0] * 20 + [0.0] * 20, range(40))
    kept = retention(row(INT8, [1.0] * 10 + [0.0] * 30), base)
    assert kept.value == 0.5 and kept.low < 0.5 < kept.high
    # what 40 samples that are alike may not have shown: Wilson's far end, 3.84 of 43.84
    assert retention(base, base).low == pytest.approx(1 - 3.84 / 43.84, abs=1e-3)
    assert retention(BASE, BASE).high == 1.0 and retention(base, base).high > 1.0


def test_samples_of_one_source_are_drawn_together() -> None:
    right = [1.0] * 20 + [0.0] * 20
    joined = metric_of(row(INT8, right), [0] * 40)
    halves = metric_of(row(INT8, right), [0] * 20 + [1] * 20)
    single = metric_of(row(INT8, right), range(40))
    assert joined.low == 0.0 and joined.high == 1.0  # one source shows no spread
    assert halves.high - halves.low > single.high - single.low > 0


def test_a_large_gap_is_sure_and_none_is_not() -> None:
    worse = gap(BAD, GOOD, BASE)
    assert worse.figure.value == pytest.approx(-0.7) and worse.p < 0.001
    assert worse.figure.high < 0
    assert gap(GOOD, GOOD, BASE).p == 1.0
    assert gap(GOOD, replace(GOOD, right=(*GOOD.right[1:], 0.0)), BASE).p > 0.2


def test_what_is_surely_worse_is_named() -> None:
    rows = {(each.model, each.method, each.place): each for each in (BASE, BAD, GOOD)}
    pairs = pairs_of([SUBJECT.name], rows)
    assert [(pair.peer, pair.is_sure) for pair in pairs] == [(NORMAL, True)]
    assert f"worse in 1**: {SUBJECT.name} ({NORMAL})" in told_apart(pairs)


def test_what_keeps_less_than_is_meant_is_named() -> None:
    kept = {(each.model, each.method, each.place): each for each in (BASE, BAD)}
    text = goals_text([SUBJECT], kept)
    assert f"Below that on 1 of 1**: {SUBJECT.name} (25.0 %)." in text
    assert text.endswith(f"1,000 samples: {SUBJECT.name} (40).")
    near = replace(BAD, right=(0.0, *BASE.right[1:]))
    assert "(97.5 %, which its interval holds)" in goals_text(
        [SUBJECT], {**kept, (SUBJECT.name, INT8, CHIP): near}
    )
    whole = {**kept, (SUBJECT.name, INT8, CHIP): replace(BAD, right=BASE.right)}
    assert "Below that on 0 of 1**: none." in goals_text([replace(SUBJECT, test=1000)], whole)


def test_a_row_comes_back_as_it_was_and_replaces_its_like(tmp_path: Path) -> None:
    keep_row(tmp_path, BASE)
    keep_row(tmp_path, BAD)
    keep_row(tmp_path, replace(BAD, right=(), of=(), sqnr_db=None, ms=0, size=0, error="exit 1"))
    rows = read_rows(tmp_path)
    assert rows[BASE.key] == BASE and len(rows) == 2
    assert rows[BAD.key].error == "exit 1" and rows[BAD.key].right == ()
    assert [file.name for file in tmp_path.iterdir()] == [f"{SUBJECT.name}.jsonl"]


def test_the_page_is_written_between_its_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- tables: begin -->\nold\n<!-- tables: end -->\nz\n")
    tables = tables_of([SUBJECT], {each.key: each for each in (BASE, BAD, GOOD)})
    write_tables(page, tables)
    write_tables(page, tables)
    text = page.read_text()
    assert text.startswith("a\n<!-- tables: begin -->\n") and text.endswith("tables: end -->\nz\n")
    assert "old" not in text and text.count("| 40 of 40 |") == 1
    assert "| 25.0 % (" in text and "1.50 / 2.00 / 0" in text


def test_rows_of_other_numbers_of_samples_are_left_out() -> None:
    rows = {each.key: each for each in (BASE, replace(BAD, calib=5), GOOD)}
    tables = tables_of([SUBJECT], rows)
    assert "25.0 %" not in tables and "95.0 %" in tables


def test_a_failed_row_says_so() -> None:
    failed = Row(SUBJECT.name, INT8, CHIP, 4, 40, error="exit 139")
    tables = tables_of([SUBJECT], {each.key: each for each in (BASE, GOOD, failed)})
    assert "| failed |" in tables and "Of 0 comparisons" in tables
    assert f"- {SUBJECT.name}, {INT8}: `exit 139`" in tables
    unbuilt = tables_of([SUBJECT], {each.key: each for each in (replace(BASE, size=0), GOOD)})
    assert f"| {SUBJECT.name} | failed | 1.50 / 2.00 / 0 |" in unbuilt


def test_the_published_page_is_that_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "_DRAWS", 9)  # the figures are not compared
    written, made = (
        [re.sub(r"[-+*.\d]", "", line) for line in text.splitlines() if line.startswith("| ")]
        for text in (PAGE.read_text(), tables_of(SUBJECTS, read_rows(ROWS)))
    )
    assert written == made, "run benchmarks/retention.py --table --write"


def test_a_closer_peer_and_a_slower_build_are_named() -> None:
    rows = {each.key: each for each in (BASE, replace(BAD, ms=2.0), replace(GOOD, sqnr_db=22.0))}
    tables = tables_of([SUBJECT], rows)
    assert f"- toolkit normal: {SUBJECT.name} (22.0 and 20.5 dB)" in tables
    assert "- NNCF: on no model" in tables
    assert f"slower than normal on: {SUBJECT.name} (2.00 and 1.50 ms)." in tables


def test_methods_are_compared_where_they_are_measured() -> None:
    places = {method.name: method.runtimes for method in METHODS}
    assert len(places) == len(METHODS)
    assert all(place in places[peer] and place in places[INT8] for peer, place in PEERS.items())


def test_pages_of_the_test_are_others_and_say_how_they_lie() -> None:
    first, second = (list(pages(role, 4, 96, is_turned=True)) for role in ("calib", "test"))
    assert [page.text for page in first] == ["0", "1", "2", "3"]
    assert not {page.values.tobytes() for page in first} & {
        page.values.tobytes() for page in second
    }
    (upright,) = pages("test", 1, 320)
    assert upright.values.shape == (3, 320, 320) and json.loads(upright.text)


def test_a_drawn_map_of_text_finds_its_lines() -> None:
    box = [40, 60, 200, 90]
    plane = np.zeros((1, 1, 320, 320), np.float32)
    plane[..., 65:85, 45:195] = 0.9
    both = right_text_boxes(
        Path(), [np.concatenate([plane, plane * 0])], [], [json.dumps([box])] * 2
    )
    assert both.tolist() == [[2, 2], [0, 1]]


def test_a_detector_agrees_with_itself_and_not_with_nothing() -> None:
    rng = np.random.default_rng(0)
    shapes = [(64, 40, 40), (18, 40, 40), (64, 20, 20), (18, 20, 20), (64, 10, 10), (18, 10, 10)]
    heads = [
        rng.normal(-6 if channels == 18 else 0, 1, (1, channels, h, w)) for channels, h, w in shapes
    ]
    heads[1][0, 3, 10, 10] = 6
    silent = [np.minimum(head, -6) if head.shape[1] == 18 else head for head in heads]
    assert boxes_like_float(Path(), heads, heads, [""]).tolist() == [[1, 1]]
    assert boxes_like_float(Path(), silent, heads, [""]).tolist() == [[0, 1]]


def test_a_mask_is_where_the_thing_is(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 20), (200, 0, 0, 255)).save(tmp_path / "thing.png")
    grey = Image.new("RGB", (64, 64), (9, 9, 9))
    thing = Photo("thing", tmp_path / "thing.png")
    picture, mask = (np.asarray(each) for each in with_thing(grey, thing, np.random.default_rng(0)))
    assert (mask > 0).any() and not (mask > 0).all()
    assert ((picture[..., 0] == 200) == (mask == 255)).all()


def test_a_mask_is_compared_pixel_by_pixel() -> None:
    truth = np.zeros((4, 4), np.bool_)
    truth[:2] = True
    twice = np.stack([truth, truth.T])[:, np.newaxis] * 0.3 + 0.1  # stretched before it is judged
    assert right_masks(Path(), [twice], [], [text_of(truth)] * 2).tolist() == [[8, 8], [4, 12]]


def test_a_vector_is_right_where_the_nearest_other_is_of_its_pair() -> None:
    vectors = np.array([[2.0, 0.0], [1.0, 0.1], [0.0, 3.0], [0.7, 0.3]])
    parts = right_neighbours(Path(), [vectors], [], ["a", "a", "b", "b"])
    assert parts.tolist() == [[1, 1], [1, 1], [1, 1], [0, 1]]
