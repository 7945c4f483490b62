"""Text recognition: CTC outputs read with a character set, scored by line and by character."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ...core.graphs.model import parse_model
from ...core.results.predictions import PredictedText
from ...core.text_files import BrokenText, UnreadableFile, read_text
from ...core.types import Array
from .classification import probabilities
from .measurement import Sums, means
from .metric import Listing, Metric, MetricTable, Outputs, Predictions


class ReadLine(str):
    """A line as a model reads it, with the mean probability of its characters."""

    confidence: float = 0.0


@dataclass(frozen=True)
class TextRecognition(Metric):
    """Lines that are read exactly; characters read right; or the character error rate.

    The error rate is all edits over all characters of the labels; the accuracy of characters is
    1 - that. ``charset`` has one character a line, in the order of the model's classes, without
    the blank; a space is added when the model has one class more. It may be an ONNX model too,
    whose metadata hold them as PaddleOCR writes them.
    """

    name: Literal["line-accuracy", "character-accuracy", "cer"] = "character-accuracy"
    charset: Path | None = field(
        default=None,
        metadata={"help": "a file, one character a line, or a model whose metadata hold them"},
    )
    blank: Literal["first", "last"] = field(
        default="first",
        metadata={"help": "the place of CTC's blank class", "choices": ("first", "last")},
    )
    ignore_spaces: bool = field(default=False, metadata={"help": "score texts without spaces"})
    ignore_case: bool = field(default=False, metadata={"help": "score texts in lower case"})
    lower_is_better: bool = False
    kind: ClassVar[Kind | None] = "text"
    perfect: ClassVar[float | None] = 1.0

    def bound(self, input_size: tuple[int, int] | None) -> Metric:
        """Return the metric with its character set read, so that a missing file shows early."""
        self._characters  # noqa: B018
        return replace(self)

    def predict(self, outputs: Outputs) -> list[ReadLine]:
        """Return one text a sample, from scores (N, steps, classes) or (N, classes, steps)."""
        scores = _planes(np.asarray(outputs[0]))
        names = self._characters
        axis = next((i for i in (2, 1) if scores.shape[i] - len(names) in (1, 2)), None)
        if axis is None:
            raise SamplesError(
                f"the output of shape {scores.shape} does not fit {len(names)} characters",
                "it is (N, steps, classes), with the characters, the blank and perhaps a space; "
                f"check charset, or name the output with {option('metric-output')}",
            )
        if scores.shape[axis] - len(names) == 2:
            names = [*names, " "]
        blank = 0 if self.blank == "first" else len(names)
        table = ["", *names] if self.blank == "first" else [*names, ""]
        return [_line(plane if axis == 2 else plane.T, table, blank) for plane in scores]

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Count exact lines, or edits and characters. Raises SamplesError when labels are empty."""
        truths = [self._scored(text) for text in labels.texts()]
        texts = [self._scored(str(text)) for text in predictions]
        if self.name == "line-accuracy":
            return means(np.array([a == b for a, b in zip(texts, truths, strict=True)], float))
        edits = np.array([edit_distance(a, b) for a, b in zip(texts, truths, strict=True)], float)
        lengths = np.array([len(text) for text in truths], float)
        if not lengths.any():
            raise SamplesError("all labels are empty texts", "give the lines that the images show")
        shares = edits / np.maximum(lengths, 1)
        if self.name == "cer":
            return Sums(shares, np.stack([edits, lengths], axis=1))
        return Sums(1 - shares, np.stack([lengths - edits, lengths], axis=1))

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """Return the share of lines that both read the same, as texts are scored."""
        pairs = zip(first, second, strict=True)
        return float(np.mean([self._scored(str(a)) == self._scored(str(b)) for a, b in pairs]))

    def plain(self, prediction: Any, listing: Listing) -> PredictedText:
        return PredictedText(str(prediction), float(getattr(prediction, "confidence", 0.0)))

    def truth(self, labels: Labels, index: int) -> str:
        return labels.take(np.array([index])).texts()[0]

    def _scored(self, text: str) -> str:
        text = "".join(text.split()) if self.ignore_spaces else text
        return text.lower() if self.ignore_case else text

    @cached_property
    def _characters(self) -> list[str]:
        return read_charset(self.charset)


def read_charset(path: Path | None) -> list[str]:
    """Read the characters of a file, one a line. Raises OptionError where that cannot be."""
    if path is None:
        raise OptionError(
            "reading text needs the model's characters",
            f"give {option('metric-option', {'charset': 'FILE'})} with one character a line",
        )
    charset = option("metric-option", {"charset": str(path)})
    try:
        is_model = path.suffix.lower() == ".onnx"
        text = _held_by(path) if is_model else read_text(path)
    except BrokenText as error:
        hint = "save it as UTF-8, one character a line"
        raise OptionError(f"{charset}: {error}", hint) from error
    except UnreadableFile as error:
        raise OptionError(f"{charset}: {error}", "check the path") from error
    # not splitlines: a character set may hold line separators of Unicode as characters
    names = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    if len(names) < 2:
        raise OptionError(f"{charset}: holds {len(names)} characters", "give one a line")
    return names


def _held_by(path: Path) -> str:
    """Return the characters in a model's metadata, "" where it has none. Raises ModelError."""
    metadata = {entry.key: entry.value for entry in parse_model(path).metadata_props}
    return str(metadata.get("character", ""))


def edit_distance(first: str, second: str) -> int:
    """Return the Levenshtein distance in characters.

    Source: Wagner and Fischer, The string-to-string correction problem, JACM 21, 1974.

    >>> edit_distance("kitten", "sitting"), edit_distance("", "abc"), edit_distance("a", "a")
    (3, 3, 0)
    """
    if first == second:
        return 0
    before = list(range(len(second) + 1))
    for row, left in enumerate(first, start=1):
        current = [row]
        for column, right in enumerate(second, start=1):
            replaced = before[column - 1] + (left != right)
            current.append(min(replaced, before[column] + 1, current[-1] + 1))
        before = current
    return before[-1]


def collapsed(classes: NDArray[np.int64], blank: int) -> NDArray[np.int64]:
    """Return the steps at which characters begin: runs become one, then blanks are dropped.

    Source: Graves et al., Connectionist temporal classification, ICML 2006, section 3.2 (best path
    decoding).

    >>> collapsed(np.array([0, 3, 3, 0, 3, 5, 5, 0]), blank=0).tolist()
    [1, 4, 5]
    """
    begins = np.concatenate([[True], classes[1:] != classes[:-1]])
    return np.flatnonzero(begins & (classes != blank))


def _line(scores: Array, table: list[str], blank: int) -> ReadLine:
    """Read a line from scores (steps, classes)."""
    classes = scores.argmax(axis=1)
    steps = collapsed(classes, blank)
    line = ReadLine("".join(table[label] for label in classes[steps]))
    if len(steps):
        line.confidence = float(
            np.mean([probabilities(row).max() for row in scores[steps].astype(np.float64)])
        )
    return line


def _planes(scores: Array) -> Array:
    """Return scores as (N, A, B), without further axes of length 1."""
    long = [axis for axis in range(1, scores.ndim) if scores.shape[axis] != 1]
    if len(long) != 2:
        raise SamplesError(
            f"the output of shape {scores.shape} is not (N, steps, classes)",
            f"name the output with {option('metric-output')}",
        )
    return scores.reshape(len(scores), *(scores.shape[axis] for axis in long))


METRICS: MetricTable = {
    "line-accuracy": TextRecognition("line-accuracy"),
    "character-accuracy": TextRecognition("character-accuracy"),
    "cer": TextRecognition("cer", lower_is_better=True),
}
