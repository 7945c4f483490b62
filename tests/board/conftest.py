"""A link to a board that is this machine, and models for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rockpress.board.board_session import BoardSession
from rockpress.board.links.local import LocalLink
from rockpress.calibration_data.bundled import MODEL, sample_path
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.recipes.recipe import Recipe
from stand_in_board import StandInBoard


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.rknn"
    path.write_bytes(b"RKNN of a test")
    return path


@pytest.fixture
def link(board: StandInBoard) -> Iterator[LocalLink]:
    with LocalLink() as link:
        yield link


@pytest.fixture
def session(link: LocalLink) -> BoardSession:
    return BoardSession(link, timeout=20)


@pytest.fixture(scope="session")
def real_rknn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as the toolkit builds it for an RK3588."""
    path = tmp_path_factory.mktemp("built") / "model.rknn"
    convert_file(Recipe(model=sample_path(MODEL)), path)
    return path
