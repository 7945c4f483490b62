"""Silero's voice activity detector: a frame, a state and the sampling rate; a probability, a state.

Frames as in silero-vad's OnnxWrapper: 512 samples at 16 kHz, from version 5 on with the 64 before
them. The rate decides between two networks in one file, so it is made a constant.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..recognition.family import Family, Match, Settings, settings_from
from ..recognition.model_view import ModelView, TensorView

_RATE = 16000
_FRAME, _CONTEXT = 512, 64
_PROBABILITIES = 1  # outputs before the states
# names of the states, the shape of each, and the length of a frame that goes with them
_FORMS: tuple[tuple[set[str], list[int], int], ...] = (
    ({"state"}, [2, 1, 128], _FRAME + _CONTEXT),
    ({"h", "c"}, [1, 1, 128], _FRAME + _CONTEXT),
    ({"h", "c"}, [2, 1, 64], _FRAME),
)


def _recognise(view: ModelView) -> Match | None:
    inputs = {tensor.name: tensor for tensor in view.inputs}
    states = set(inputs) - {"input", "sr"}
    if "input" not in inputs or len(view.outputs) != _PROBABILITIES + len(states):
        return None
    for names, shape, frame in _FORMS:
        shapes = {"input": [1, frame], **dict.fromkeys(sorted(names), shape)}
        if names == states and all(_fits(inputs[name], dims) for name, dims in shapes.items()):
            return Match("form", _settings(inputs, shapes))
    return None


def _settings(inputs: Mapping[str, TensorView], shapes: Mapping[str, list[int]]) -> Settings:
    free = {name: shape for name, shape in shapes.items() if None in inputs[name].shape}
    settings = settings_from("form", metric="vad")
    settings |= settings_from("guess", input=free) if free else {}
    return settings | (settings_from("guess", constant={"sr": _RATE}) if "sr" in inputs else {})


def _fits(tensor: TensorView, shape: list[int]) -> bool:
    lengths = zip(tensor.shape, shape, strict=False)
    return len(tensor.shape) == len(shape) and all(a in (None, b) for a, b in lengths)


FAMILY = Family("Silero's voice activity detectors", _recognise)
