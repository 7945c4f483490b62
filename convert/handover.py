"""Samples on their way to the child process: files in the job folder, one sample in memory a time.

A *pixels* input takes (1, H, W, C) uint8 arrays: the ``.rknn`` applies mean and std itself. Any
other input takes arrays in the model's own shape and type.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from onnx import ModelProto, helper

from ..core.diagnostics import option
from ..core.errors import OptionError, OutputError, SamplesError
from ..core.passes.prepare import fixed_input_shapes
from ..core.types import Array

Sample = Mapping[str, Array]
Channels = Sequence[float]


@runtime_checkable
class DigestedSamples(Protocol):
    """Samples that can be read again, and told by their content."""

    def __iter__(self) -> Iterator[Sample]:
        """Read them one at a time."""

    def digest(self) -> str:
        """Return the hex digest of all that decides what they hold."""


@dataclass(frozen=True)
class ModelInput:
    """One model input: its own shape and type, and mean and std when it takes pixels."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def pixels(self) -> bool:
        """Whether the .rknn applies mean and std itself."""
        return self.mean is not None

    @property
    def fed_shape(self) -> tuple[int, ...]:
        """The shape of one sample: NHWC for pixels, else the model's own; (1,) for a number."""
        if not self.pixels:
            return self.shape or (1,)
        batch, channels, height, width = self.shape
        return (batch, height, width, channels)

    def normalised(self, values: Array) -> Array:
        """Return what the model itself takes of NCHW ``values``: mean and std applied to pixels."""
        if not self.pixels:
            return values.reshape(self.shape)
        mean, std = (
            np.asarray(channels, np.float32).reshape(-1, 1, 1) for channels in (self.mean, self.std)
        )
        scaled: Array = (values.astype(np.float32) - mean) / std
        return scaled.astype(self.dtype)

    @property
    def fed_dtype(self) -> str:
        """The type of one sample."""
        return "uint8" if self.pixels else self.dtype


def inputs_of(
    model: ModelProto,
    mean: Channels | Mapping[str, Channels] | None,
    std: Channels | Mapping[str, Channels] | None,
) -> tuple[ModelInput, ...]:
    """Return the inputs in their order. Raises OptionError when mean or std do not fit them."""
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    inputs = {
        name: ModelInput(name, shape, str(helper.tensor_dtype_to_np_dtype(types[name])))
        for name, shape in fixed_input_shapes(model).items()
    }
    means, stds = _by_input("mean", mean, inputs), _by_input("std", std, inputs)
    for name in {**means, **stds}:
        tensor = inputs[name]
        inputs[name] = replace(
            tensor,
            mean=_channels(tensor, "mean", means.get(name, (0.0,))),
            std=_channels(tensor, "std", stds.get(name, (1.0,))),
        )
    return tuple(inputs.values())


def _by_input(
    kind: str, values: Channels | Mapping[str, Channels] | None, inputs: Mapping[str, ModelInput]
) -> Mapping[str, Channels]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        if len(inputs) != 1:
            raise OptionError(
                f"the model has {len(inputs)} inputs ({', '.join(inputs)}), and {kind} names none",
                f"say which input the {kind} belongs to",
            )
        return {next(iter(inputs)): values}
    unknown = [name for name in values if name not in inputs]
    if unknown:
        raise OptionError(
            f"the {kind} is for {unknown[0]!r}, which is no input",
            f"inputs: {', '.join(inputs)}",
        )
    return values


def _channels(tensor: ModelInput, kind: str, values: Channels) -> tuple[float, ...]:
    """One value a channel. Raises OptionError when the input is no image or they do not fit."""
    if len(tensor.shape) != 4:
        raise OptionError(
            f"input {tensor.name!r} has the shape {tensor.shape}: it is no image and takes no "
            f"{kind}",
            f"leave {option('mean')} and {option('std')} out and feed prepared values",
        )
    count = tensor.shape[1]
    numbers = tuple(float(value) for value in values)
    if len(numbers) not in (1, count):
        raise OptionError(
            f"{kind} has {len(numbers)} values, but input {tensor.name!r} has {count} channels",
            "give one value, or one for each channel",
        )
    if count > 4 and len(set(numbers)) > 1:
        raise OptionError(
            f"input {tensor.name!r} has {count} channels; above 4 the runtime takes the first "
            f"{kind} for all of them",
            "put the scaling into the model",
        )
    return numbers * count if len(numbers) == 1 else numbers


def write_samples(samples: Iterable[Sample], inputs: Sequence[ModelInput], folder: Path) -> int:
    """Append every sample to ``input<i>.raw``, one file an input; return how many there were."""
    count = 0
    with _room_for_samples(folder), ExitStack() as stack:
        paths = [folder / f"input{index}.raw" for index in range(len(inputs))]
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for sample in samples:
            for tensor, file in zip(inputs, files, strict=True):
                file.write(np.ascontiguousarray(_checked(sample, tensor, count)).tobytes())
            count += 1
    return count


def write_dataset(samples: Iterable[Sample], inputs: Sequence[ModelInput], folder: Path) -> int:
    """Write the toolkit's calibration set, ``dataset.txt`` and .npy files; return how many.

    The toolkit reads every .npy in the model's own layout (NCHW) and applies mean and std to it.
    """
    rows: list[str] = []
    with _room_for_samples(folder):
        for number, sample in enumerate(samples):
            row = []
            for index, tensor in enumerate(inputs):
                value = _checked(sample, tensor, number)
                name = f"sample{number}_{index}.npy"
                np.save(folder / name, value.transpose(0, 3, 1, 2) if tensor.pixels else value)
                row.append(name)
            rows.append(" ".join(row))
        (folder / "dataset.txt").write_text("".join(f"{row}\n" for row in rows))
    return len(rows)


def calibration_feeds(inputs: Sequence[ModelInput], folder: Path) -> Iterator[Sample]:
    """Yield what ``write_dataset`` wrote as the model itself takes it: normalised, NCHW."""
    for row in (folder / "dataset.txt").read_text().splitlines():
        values = [np.load(folder / name) for name in row.split()]
        yield {
            tensor.name: tensor.normalised(value)
            for tensor, value in zip(inputs, values, strict=True)
        }


def _checked(sample: Sample, tensor: ModelInput, number: int) -> Array:
    if tensor.name not in sample:
        raise SamplesError(
            f"sample {number} has no value for the input {tensor.name!r}",
            f"it has: {', '.join(sample) or 'nothing'}",
        )
    value = np.asarray(sample[tensor.name])
    if not tensor.shape and value.size == 1:
        value = value.reshape(1)
    if value.shape != tensor.fed_shape:
        raise SamplesError(
            f"sample {number} has the shape {value.shape} for {tensor.name!r}, "
            f"which takes {tensor.fed_shape}",
            "check the size and the layout of the samples",
        )
    if tensor.pixels and value.dtype != np.uint8:
        raise SamplesError(
            f"sample {number} has {value.dtype} values for {tensor.name!r}, which takes uint8 "
            "pixels",
            "feed pixels of 0..255: mean and std are applied inside",
        )
    return value.astype(tensor.fed_dtype, copy=False)


@contextmanager
def _room_for_samples(folder: Path) -> Iterator[None]:
    """Say where the room ran out when the samples do not fit on the disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise OutputError(
            f"cannot write samples to {folder}: {error.strerror}",
            "free some space, or set TMPDIR to a folder with more",
        ) from error
