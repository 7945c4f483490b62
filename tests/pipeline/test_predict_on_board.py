"""predict --board: what a .rknn says on a board, sample by sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from board_answers import Built, teach
from commands import Run
from rockpress.convert.toolkit.environment import toolkit_version
from stand_in_board import StandInBoard

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


def said(rockpress: Run, *words: object) -> dict[str, Any]:
    ended = rockpress("predict", *words, "--json")
    assert ended.code == 0, ended.err
    document: dict[str, Any] = json.loads(ended.out)
    return document


@needs_toolkit
def test_a_board_says_what_the_simulator_says(
    built: Built, board: StandInBoard, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the toolkit."""
    simulated = said(rockpress, built.rknn, built.labelled)
    teach(board, built.manifest, built.samples, built.simulated)
    monkeypatch.setattr(
        "rockpress.pipeline.tasks.installed_toolkit.toolkit_version", lambda python: None
    )
    on_board = said(rockpress, built.rknn, built.labelled, "--board", "local")
    assert (simulated["board"], on_board["board"]) == (None, "local")
    best = [
        [row["prediction"]["classes"][0]["name"] for row in document["samples"]]
        for document in (simulated, on_board)
    ]
    assert best[0] == best[1] and len(set(best[0])) == 3 and len(best[0]) == 12
    teach(board, built.manifest, built.samples, [output[::-1] for output in built.simulated])
    other = said(rockpress, built.rknn, built.labelled, "--board", "local")
    assert [row["prediction"]["classes"][0]["name"] for row in other["samples"]] == best[0][::-1]


@needs_toolkit
def test_the_original_is_beside_it(built: Built, board: StandInBoard, rockpress: Run) -> None:
    teach(board, built.manifest, built.samples, built.simulated)
    words = [built.model, built.labelled, "--against", built.rknn, "--board", "local"]
    ended = rockpress("predict", *words)
    assert ended.code == 0, ended.err
    assert "m.rknn on the board at local (rockpress's way to a board is not yet run" in ended.out
    assert "12 samples" in ended.out.splitlines()[-1]


def test_a_board_is_for_a_rknn(small_cnn: Path, image_folder: Path, rockpress: Run) -> None:
    ended = rockpress("predict", small_cnn, image_folder, "--board", "local")
    assert ended.code == 2 and "--board local is for a .rknn" in ended.err
