"""What two models say of one sample, in lines."""

from __future__ import annotations

from rockpress.accuracy.prediction_difference import difference_of
from rockpress.core.results.prediction_rows import SamplePrediction
from rockpress.core.results.predictions import PredictedText
from rockpress.report.text.difference_text import sample_lines


def lines_of(first: str, second: str) -> list[str]:
    read, against = PredictedText(first, 0.905), PredictedText(second, 1.0)
    return sample_lines(SamplePrediction("a.png", read, against, difference_of(read, against, 0)))


def test_texts_that_differ_are_shown_with_whose_they_are() -> None:
    headline, read, against = lines_of(" this No.", "this No.")
    assert headline.startswith("a.png: ")
    assert read.startswith('  model: " this No."')
    assert against.startswith('  against: "this No."')


def test_texts_that_do_not_are_shown_once() -> None:
    headline, read = lines_of("this", "this")
    assert headline.startswith("a.png: ")
    assert read.startswith('  "this"')
