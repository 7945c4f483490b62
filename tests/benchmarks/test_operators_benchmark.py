"""The benchmark of what is not rounded in whole networks: its figures and its table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import operators
from benchmarks.retentions import unrounded_insides
from benchmarks.retentions.subjects import SUBJECTS, Subject
from benchmarks.retentions.unrounded_insides import (
    NETWORKS,
    Outputs,
    mean_db,
    print_networks,
    row_of,
)

FLOAT, ERROR = np.array([[3.0, 4.0]]), np.array([[0.0, 0.5]])
OUTPUTS = Outputs(
    floating=[FLOAT], file=[FLOAT + ERROR], compared=[FLOAT + ERROR / 10], simulated=[FLOAT * 1.1]
)


def test_db_by_hand_are_those_of_the_worst_output_and_a_mean_over_samples() -> None:
    wanted = np.array([[3.0, 4.0], [30.0, 40.0]])
    near, far = wanted + ERROR, wanted + ERROR * 10
    # 20 and 40 dB; of all samples together they would be 37
    assert mean_db([wanted], [near]) == pytest.approx(30)
    assert mean_db([wanted, wanted], [near, far]) == pytest.approx((0 + 20) / 2)
    assert mean_db([wanted], [wanted]) == np.inf


def test_a_row_is_to_the_simulator_and_then_to_the_float_model() -> None:
    # |(3, 4.5)|^2 = 29.25 to 0.3^2 + 0.1^2, |(3, 4.05)|^2 = 25.4025 to 0.3^2 + 0.35^2
    assert row_of("net", OUTPUTS) == "| net | 24.7 | 20.8 | 20.0 | 40.0 | 20.0 |"


def test_the_table_has_a_row_for_each_network_that_was_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = list[tuple[str, Path]]()

    def outputs(subject: Subject, work: Path) -> Outputs:
        measured.append((subject.name, work))
        return OUTPUTS

    monkeypatch.setattr(unrounded_insides, "_outputs", outputs)
    operators.main(["--networks", "ppocr6-rec", "orientation"])
    head, line, *rows = capsys.readouterr().out.splitlines()
    assert head.count("|") == line.count("|") == 7
    assert rows == [row_of(name, OUTPUTS) for name in ("ppocr6-rec", "orientation")]
    work = operators.ROOT / "build" / "retention"
    assert measured == [("ppocr6-rec", work), ("orientation", work)]


def test_without_names_all_networks_are_measured_and_an_unknown_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(unrounded_insides, "_outputs", lambda *_: OUTPUTS)
    print_networks([], tmp_path)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[1] for row in rows] == list(NETWORKS)
    assert set(NETWORKS) <= {subject.name for subject in SUBJECTS}
    with pytest.raises(KeyError, match="no-such"):
        print_networks(["orientation", "no-such"], tmp_path)
