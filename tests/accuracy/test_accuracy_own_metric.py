"""The metrics of examples/own_metric.py do what the documentation says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import OptionError

COUNT = 300


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.syspath_prepend(str(root / "examples"))


def data() -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], Labels]:
    random = np.random.default_rng(0)
    logits = random.normal(size=(COUNT, 3))
    labels = random.integers(0, 3, COUNT)
    logits[np.arange(COUNT), labels] += 1
    return logits, Labels("class", labels)


def test_a_function_of_the_user_is_a_mean() -> None:
    logits, labels = data()
    result = compare([logits], [logits * 0.5], labels, "own_metric:log_loss")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert result.baseline_value == pytest.approx(log_loss(labels.classes(), probabilities))
    assert result.agreement == 1
    assert result.mcnemar is None and result.candidate_interval is not None


def test_a_metric_of_the_user_may_be_no_mean() -> None:
    logits, labels = data()
    worse = logits + np.random.default_rng(1).normal(size=logits.shape) * 0.5
    scoring = bind_metric("own_metric:F1", {"positive": "2"})
    result = compare([logits], [worse], labels, scoring)
    expected = [f1_score(labels.classes() == 2, one.argmax(axis=1) == 2) for one in (logits, worse)]
    assert [result.baseline_value, result.candidate_value] == pytest.approx(expected)
    kept = result.retention
    assert kept is not None and kept.low is not None and kept.high is not None
    assert kept.low < expected[1] / expected[0] < kept.high


def test_the_metric_in_the_documentation(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (root / "docs" / "accuracy.md").read_text()
    (tmp_path / "my_metrics.py").write_text(page.split("```python\n")[1].split("```")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    labels = Labels("vector", np.arange(8.0)[:, None])
    found, near = np.arange(8.0)[:, None] + 0.25, np.arange(8.0)[:, None] + 0.5
    result = compare([found], [near], labels, "my_metrics:error")
    assert (result.baseline_value, result.candidate_value) == (0.25, 0.5)
    assert result.retention is not None and result.retention.value == 0.5  # lower is better


OPTIONS = """
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from rockpress.accuracy.metrics.classification import TopK


@dataclass(frozen=True)
class Own(TopK):
    half: bool = field(default=True, metadata={"help": "yes or no"})
    share: float = field(default=1.0, metadata={"help": "a number"})
    rest: Optional[int] = field(default=None, metadata={"help": "a number"})
    table: Path | None = field(default=None, metadata={"help": "a file"})
    word: str = field(default="", metadata={"help": "a text"})


class Plain(TopK):
    pass
"""


@pytest.mark.parametrize("begin", ["", "from __future__ import annotations\n"])
def test_options_have_their_types_whether_annotations_are_postponed_or_not(
    begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"typed_metric_{len(begin)}"
    (tmp_path / f"{module}.py").write_text(begin + OPTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    options = {"half": "no", "share": "0.5", "rest": "3", "table": "t.txt", "word": "no"}
    metric = vars(find_metric(f"{module}:Own", options))
    expected = {"half": False, "share": 0.5, "rest": 3, "table": Path("t.txt"), "word": "no"}
    assert {name: metric[name] for name in expected} == expected
    for name, text, kind in (
        ("half", "much", "yes or no"),
        ("share", "much", "a number"),
        ("share", "nan", "a number"),
        ("rest", "0.5", "a whole number"),
    ):
        with pytest.raises(OptionError, match=f"not {kind}"):
            find_metric(f"{module}:Own", {name: text})
    with pytest.raises(OptionError, match="has no such option"):
        find_metric(f"{module}:Plain", {"half": "no"})
