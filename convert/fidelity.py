"""Does the built model compute what was meant? A few samples, simulated and in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from onnx import ModelProto

from ..core.errors import ModelError
from ..core.graphs.model import is_qdq
from ..core.graphs.output_parts import OutputPart, parts_of
from ..core.results.part_figures import PartFigure, worst_part
from ..core.session import Session
from ..core.streaming.part_similarity import compared
from ..core.types import Array
from .audit.audit_view import quantized_ranges
from .float_source import FloatSource
from .handover import ModelInput, Sample

PROBES = 4  # samples; enough to see that something is broken, not to measure accuracy
# A quantized network agrees with its intended model to 26 to 31 dB when all went well; under 20 dB
# was seen where weights had been rounded twice.
LEAST_DB = 20.0
# On noise: networks give little signal for it.
_LEAST_ON_NOISE_DB = 10.0
# Where quantization costs so much that rounding differences grow on the way through the network,
# the simulator need only be as close to the float model as the intended model is.
TOLERANCE_DB = 1.0
# A build that loses this much of what the intended model has is worth another one, unless it is so
# close to the float model that no task can tell. Rounding on the way costs 1 to 2 dB.
LOSS_DB = 3.0
CLOSE_DB = 40.0


@dataclass(frozen=True)
class Closeness:
    """SQNR in dB of the simulator's outputs: to the intended model, and to the float model.

    ``possible_db`` is that of the intended model to the float one. None where there is no such
    model. ``least_db`` is what to expect of ``intended_db``. All are of the worst part of the
    outputs. ``parts`` compares with the float model, or the intended one where there is no other;
    there are none of made-up samples.
    """

    intended_db: float | None
    float_db: float | None
    possible_db: float | None
    least_db: float = LEAST_DB
    parts: tuple[PartFigure, ...] = ()

    @property
    def is_faithful(self) -> bool:
        """Whether the build can be believed to compute what was meant."""
        if self.intended_db is None or self.intended_db >= self.least_db:
            return True
        if self.float_db is None or self.possible_db is None:
            return False
        return self.float_db >= self.possible_db - TOLERANCE_DB

    @property
    def is_lossy(self) -> bool:
        """Whether another build may well be closer to the float model."""
        if self.float_db is None or self.possible_db is None:
            return False
        return self.float_db < min(self.possible_db - LOSS_DB, CLOSE_DB)

    def is_as_close_as(self, other: Closeness) -> bool:
        """Return whether another build's outputs are hardly closer to the float model."""
        if self.float_db is None or other.float_db is None:
            return False
        return self.float_db >= other.float_db - TOLERANCE_DB

    def lost_against(self, other: Closeness) -> float | None:
        """Return by how many dB it is further from the float model, 0 or more; None if unknown."""
        if self.float_db is None or other.float_db is None:
            return None
        return max(other.float_db - self.float_db, 0.0)


UNKNOWN = Closeness(None, None, None)


@dataclass(frozen=True, eq=False)
class Probe:
    """The first samples that the simulator is given, and what they should come to.

    ``model`` is what is converted, ``source`` the float model of a QDQ one. ``is_noise`` says that
    the samples are made up.
    """

    model: ModelProto
    source: FloatSource | None
    inputs: Sequence[ModelInput]
    folder: Path
    simulated: int
    is_noise: bool = False

    @property
    def count(self) -> int:
        """How many samples are compared."""
        return min(PROBES, self.simulated)

    def closeness(self, outputs: Sequence[Array]) -> Closeness:
        """Return how close the simulator's ``outputs`` (samples first) are on the first samples."""
        simulated = [output[: self.count].reshape(self.count, -1) for output in outputs]
        intended, floating = self._intended_outputs, self._float_outputs
        to_intended = self._compared(intended, simulated)
        to_float = self._compared(floating, simulated)
        return Closeness(
            _worst_db(to_intended),
            _worst_db(to_float),
            _worst_db(self._compared(floating, intended)),
            _LEAST_ON_NOISE_DB if self.is_noise else LEAST_DB,
            () if self.is_noise else self._shown(to_intended, to_float),
        )

    def _shown(
        self, to_intended: tuple[PartFigure, ...], to_float: tuple[PartFigure, ...]
    ) -> tuple[PartFigure, ...]:
        """Those of the model that was given: of what is inside it nobody has heard."""
        is_derived = self.source is not None and self.source.is_derived
        return to_intended if is_derived else to_float or to_intended

    def _compared(
        self, reference: Sequence[Array] | None, candidate: Sequence[Array] | None
    ) -> tuple[PartFigure, ...]:
        if not reference or not candidate:
            return ()
        return compared(self._parts, reference, candidate)

    @cached_property
    def _parts(self) -> tuple[OutputPart, ...]:
        return parts_of(self.model if self.source is None else self.source.model)

    def require_finite_model(self) -> None:
        """Raise ModelError when the model itself computes NaN or infinity from these samples."""
        for output in self._float_outputs or self._intended_outputs or ():
            if not np.isfinite(output).all():
                raise ModelError(
                    "the model computes NaN or infinity from these samples, before any conversion",
                    "check its weights, and the preprocessing of the samples",
                )

    @cached_property
    def _intended_outputs(self) -> list[Array] | None:
        return self._run(self.model, optimise=False) if is_qdq(self.model) else None

    @cached_property
    def _float_outputs(self) -> list[Array] | None:
        floating = self.source.model if self.source else None
        return self._run(floating if is_qdq(self.model) else self.model, optimise=True)

    def _run(self, model: ModelProto | None, *, optimise: bool) -> list[Array] | None:
        if model is None or not self.count:
            return None
        session = Session(model, optimise=optimise)
        rows = [session.run(feeds) for feeds in self._feeds()]
        return [np.stack(list(map(np.ravel, column))) for column in zip(*rows, strict=True)]

    def _feeds(self) -> Iterator[Mapping[str, Array]]:
        """The samples as the model itself takes them, read back from the files of the job."""
        files = [
            np.memmap(self.folder / f"input{index}.raw", tensor.fed_dtype, "r").reshape(
                -1, *tensor.fed_shape
            )
            for index, tensor in enumerate(self.inputs)
        ]
        for number in range(self.count):
            yield {
                tensor.name: tensor.normalised(_in_planes(tensor, np.array(file[number])))
                for tensor, file in zip(self.inputs, files, strict=True)
            }


def _worst_db(parts: Sequence[PartFigure]) -> float | None:
    return worst_part(parts).sqnr_db if parts else None


def _in_planes(tensor: ModelInput, fed: Array) -> Array:
    return np.ascontiguousarray(fed.transpose(0, 3, 1, 2)) if tensor.pixels else fed


def noise(model: ModelProto, inputs: Sequence[ModelInput], count: int) -> Iterator[Sample]:
    """Yield seeded normal samples in the range that a QDQ model's inputs are quantized in.

    They tell whether two forms of one quantized model agree, and nothing about accuracy.
    """
    random = np.random.default_rng(0)
    ranges = quantized_ranges(model)
    for _ in range(count):
        sample = {}
        for tensor in inputs:
            low, high = (0.0, 255.0) if tensor.pixels else ranges.get(tensor.name, (0.0, 1.0))
            # a range holds some three standard deviations of what it was measured on
            values = random.normal((low + high) / 2, (high - low) / 6, tensor.fed_shape)
            sample[tensor.name] = values.clip(low, high).astype(tensor.fed_dtype)
        yield sample
