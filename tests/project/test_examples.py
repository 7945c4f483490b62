"""The examples of properties, which have to be the same in every run."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def examples() -> list[str]:
    drawn: list[str] = []

    @settings(max_examples=200, database=None)
    @given(st.floats(), st.integers(), st.text())
    def draw(number: float, count: int, text: str) -> None:
        drawn.append(repr((number, count, text)))

    draw()
    return drawn


def test_examples_are_the_same_whatever_was_imported_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = examples()
    (tmp_path / "numbers_of_a_module.py").write_text("values = [1234.5, 987654, 'a long text']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("numbers_of_a_module")
    assert examples() == before
