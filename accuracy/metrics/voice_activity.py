"""Voice activity: how well the probabilities of frames tell speech from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ...core.results.predictions import PredictedSpeech
from ...core.types import Array, Float64
from .measurement import RESAMPLES, Scores, Sums
from .metric import Listing, Metric, MetricTable, Outputs, Predictions

# numbers of resamples and frames that are in memory together
_AT_ONCE = 4_000_000
# all resamples together go through no more frames
_MOST_FRAMES = 2_000_000_000


@dataclass(frozen=True)
class VoiceActivity(Metric):
    """What the metrics of speech in frames have in common.

    A sample's label is 0 or 1 for each of its frames, and its output one probability of speech a
    frame; or, with ``silence``, probabilities of classes, of which some are not speech.
    """

    silence: str = field(
        default="",
        metadata={"help": "the classes that are not speech, such as 0 or 0,1; else speech's own"},
    )
    kind: ClassVar[Kind | None] = "vector"
    perfect: ClassVar[float | None] = 1.0

    def predict(self, outputs: Outputs) -> list[Float64]:
        """Return the probabilities of speech (T,) of each sample."""
        values = np.asarray(outputs[0], np.float64)
        if not self.silence:
            return list(values.reshape(len(values), -1))
        silent = self._silent(values.shape[-1])
        classes = values.reshape(len(values), -1, values.shape[-1])
        return [1 - _probabilities(rows)[:, silent].sum(axis=1) for rows in classes]

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """Return the share of frames that both models have on one side of a half."""
        same = [(a >= 0.5) == (b >= 0.5) for a, b in zip(first, second, strict=True)]
        return float(np.concatenate(same).mean())

    def plain(self, prediction: Any, listing: Listing) -> PredictedSpeech:
        values = np.asarray(prediction, np.float64)
        least = self.least(listing)
        return PredictedSpeech(tuple(values.tolist()), least, segments_of(values >= least))

    @property
    def shown_from(self) -> float:
        return 0.5

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        return f"{np.mean(np.asarray(prediction) >= 0.5):.0%} speech"

    def truth(self, labels: Labels, index: int) -> str:
        return f"{np.mean(labels.take(np.array([index])).vectors()):.0%} speech"

    def _silent(self, classes: int) -> list[int]:
        columns = [int(text) for text in self.silence.split(",") if text.strip().isdigit()]
        if len(columns) != self.silence.count(",") + 1 or max(columns, default=0) >= classes:
            raise OptionError(
                f"{option('metric-option', {'silence': self.silence})}: the output has {classes} "
                "classes",
                "give their indices from 0, with commas between",
            )
        return columns


@dataclass(frozen=True)
class SpeechAuc(VoiceActivity):
    """Area under the ROC curve over the frames: how often speech scores above the rest.

    Source: Hanley and McNeil, Radiology 143, 1982; of two equal scores each counts half.
    """

    name: ClassVar[str] = "vad"

    def measure(self, predictions: Predictions, labels: Labels) -> RocArea:
        """Rank the frames. Raises SamplesError unless there are frames of both kinds."""
        frames = _paired(predictions, labels)
        flags = np.concatenate([speech for _, speech in frames])
        if flags.all() or not flags.any():
            raise SamplesError(
                f"all {len(flags)} frames are labelled alike", "give speech and silence"
            )
        return RocArea(frames)


@dataclass(frozen=True)
class SpeechF1(VoiceActivity):
    """F1 of the frames that are taken for speech at a threshold."""

    threshold: float = field(default=0.5, metadata={"help": "a frame of at least this is speech"})
    name: ClassVar[str] = "vad-f1"

    @property
    def shown_from(self) -> float:
        return self.threshold

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Count right, predicted and labelled frames of speech."""
        frames = _paired(predictions, labels)
        said = [values >= self.threshold for values, _ in frames]
        rows = [
            ((mine & speech).sum(), mine.sum() + speech.sum())
            for mine, (_, speech) in zip(said, frames, strict=True)
        ]
        table = np.array(rows, np.float64)
        own = np.where(table[:, 1] > 0, 2 * table[:, 0] / np.maximum(table[:, 1], 1), 1.0)
        return Sums(own, table, lambda sums: 2 * sums[:, 0] / sums[:, 1])


@dataclass(frozen=True, eq=False)
class RocArea:
    """The area under the ROC curve of the frames of N samples; a Measurement.

    ``frames`` are each sample's probabilities and flags of speech, (T,) each.
    """

    frames: Sequence[tuple[Float64, NDArray[np.bool_]]]

    @cached_property
    def scores(self) -> Scores:
        """Each sample's share of frames that are on the right side of a half, (N,).

        The area is of ranks: a probability that moves a little says nothing of a sample.
        """
        return np.array([((values >= 0.5) == speech).mean() for values, speech in self.frames])

    @cached_property
    def value(self) -> float:
        """The area over all frames."""
        return float(self.resampled(np.ones((1, len(self.frames))))[0])

    @property
    def resamples(self) -> int:
        """Fewer of many frames, as each resample goes through all of them."""
        return int(min(RESAMPLES, max(1000, _MOST_FRAMES // len(self._sorted[0]))))

    def resampled(self, counts: NDArray[Any]) -> Scores:
        """Return the area of each resample (R,), from how often each sample is drawn (R, N)."""
        step = max(1, _AT_ONCE // len(self._sorted[0]))
        parts = [self._areas(counts[start : start + step]) for start in range(0, len(counts), step)]
        return np.concatenate(parts) if parts else np.zeros(0)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
        """Return sample and flag of every frame, the least probable first, and where ties begin."""
        values = np.concatenate([values for values, _ in self.frames])
        speech = np.concatenate([speech for _, speech in self.frames])
        samples = np.repeat(np.arange(len(self.frames)), [len(each) for each, _ in self.frames])
        order = np.argsort(values, kind="stable")
        begins = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
        return samples[order], speech[order], begins

    def _areas(self, counts: NDArray[Any]) -> Scores:
        """Return the areas (R,) of resamples that fit into memory together."""
        samples, speech, begins = self._sorted
        drawn = counts[:, samples].astype(np.float64)
        positive = np.add.reduceat(drawn * speech, begins, axis=1)
        negative = np.add.reduceat(drawn * ~speech, begins, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            areas: Scores = (positive * below).sum(axis=1) / pairs
        return areas


def segments_of(speech: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return the runs of frames (T,) that are set: the first, and the one behind the last.

    >>> segments_of(np.array([True, False, True, True]))
    ((0, 1), (2, 4))
    """
    steps = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]])))
    return tuple(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))


def _probabilities(rows: Array) -> Array:
    """Return class probabilities (T, C) as they are, and of logits their softmax."""
    if rows.min() >= -0.05 and np.allclose(rows.sum(axis=1), 1, atol=0.1):
        return rows
    odds = np.exp(rows - rows.max(axis=1, keepdims=True))
    probabilities: Array = odds / odds.sum(axis=1, keepdims=True)
    return probabilities


def _paired(predictions: Predictions, labels: Labels) -> list[tuple[Float64, NDArray[np.bool_]]]:
    """Return each sample's probabilities and flags. Raises SamplesError where they do not match."""
    table = labels.vectors()
    if not np.isin(table, (0, 1)).all():
        raise SamplesError("a label of a frame is neither 0 nor 1", "label speech 1, the rest 0")
    frames = [np.asarray(values, np.float64) for values in predictions]
    for index, values in enumerate(frames):
        if len(values) != table.shape[1]:
            raise SamplesError(
                f"{labels.source_of(index)}: {table.shape[1]} labels for {len(values)} frames",
                "give a label a frame; where the output holds classes, say which are silence with "
                f"{option('metric-option', {'silence': '0'})}",
            )
    return list(zip(frames, table > 0, strict=True))


METRICS: MetricTable = {"vad": SpeechAuc(), "vad-f1": SpeechF1()}
