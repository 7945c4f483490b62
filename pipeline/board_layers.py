"""Where a board and the simulator part: what layers give on both, on the same samples.

A board's runtime gives the outputs of a model alone. So the model is built once more with what some
of its layers give among its outputs, and again with what lies between the last that agrees and the
first that does not, until there is nothing between.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ..accuracy.board_runner import BoardRunner
from ..calibration_data.samples import Samples
from ..convert.convert import convert
from ..convert.fidelity import CLOSE_DB, LEAST_DB
from ..core.diagnostics import option
from ..core.errors import BoardError, OptionError
from ..core.graphs.model import load_model
from ..core.progress import Progress
from ..core.results.board_comparison import LayerComparison, LayerDifference
from ..core.scratch import scratch_folder
from ..core.similarity import RunningSqnr
from ..core.types import Array
from .rebuilding import Rebuildable
from .recipes.recipe import Recipe
from .samples.ready_model import ReadyModel
from .tasks.board_run import BoardFile, loaded_on_board
from .tasks.converting import NpuFeeds
from .tasks.inner_outputs import write_with_outputs
from .tasks.inner_tensors import InnerTensor, inner_tensors
from .tasks.installed_toolkit import require_toolkit
from .tasks.tensor_differences import RunningDifference

# each output takes memory that the board's driver has to give in one piece
MOST_OUTPUTS = 16
_MOST_BUILDS = 6  # 16 * 17^5 layers
_SAMPLES = 8  # the simulator takes seconds for each


@dataclass(frozen=True)
class _LayerBuilds:
    """Builds of one ``.rknn`` with more outputs, each run on a board and in the simulator."""

    recipe: Recipe
    opened: Rebuildable
    file: BoardFile
    model: ModelProto
    samples: Samples
    progress: Progress

    def differences(
        self, tensors: Sequence[InnerTensor], plain: Sequence[Sequence[Array]]
    ) -> tuple[list[LayerDifference], float]:
        """Build it with these among its outputs; return how far each is on the board.

        And the SQNR of the model's own outputs there, against the ``plain`` ones, sample by sample.
        """
        with scratch_folder() as folder:
            source, rknn = folder / f"{self.opened.source.stem}.onnx", folder / "layers.rknn"
            positions = write_with_outputs(self.model, [each.shown for each in tensors], source)
            simulated = self._simulated(source, rknn)
            places = [positions[tensor.shown] for tensor in tensors]
            running, own = self._running(tensors), RunningSqnr()
            with loaded_on_board(self.recipe, replace(self.file, path=rknn)) as runner:
                for index, outputs in enumerate(_runs(runner, self.samples, self.progress)):
                    pairs = [(simulated[place][index], outputs[place]) for place in places]
                    for each, (reference, value) in zip(running, pairs, strict=True):
                        each.add(reference, _shaped(value, reference))
                    own.add(plain[index], outputs[: len(plain[index])])
        return [each.figure for each in running], own.db

    def plain_outputs(self) -> list[list[Array]]:
        """Return the outputs of the file itself on the board, sample by sample."""
        with loaded_on_board(self.recipe, self.file) as runner:
            return list(_runs(runner, self.samples, self.progress))

    def _running(self, tensors: Sequence[InnerTensor]) -> list[RunningDifference]:
        is_float = self.opened.manifest.quantization == "float16"
        least = CLOSE_DB if is_float else LEAST_DB
        return [RunningDifference(tensor, least) for tensor in tensors]

    def _simulated(self, source: Path, rknn: Path) -> list[Array]:
        """Build a model; return its outputs in the simulator, samples first."""
        feeds = NpuFeeds(self.samples)
        request = self.opened.request(self.recipe.toolkit, self.samples.npu_preprocess, None, feeds)
        conversion = convert(replace(request, model=source, output=rknn), self.progress)
        return list(conversion.outputs or ())


def compare_layers(
    recipe: Recipe,
    opened: Rebuildable,
    file: BoardFile,
    evaluation: Samples,
    progress: Progress,
    *,
    differs: bool,
) -> LayerComparison:
    """Return which layer's result differs first on the board of a recipe from the simulator's.

    On up to eight of the samples. ``differs`` is whether the outputs of the file itself do, by more
    than rounding. A layer that differs as an extra output alone, where the model's own outputs are
    right with it and without, is no first. Raises BoardError, ToolkitError.
    """
    model, samples = load_model(opened.source), evaluation.take(_SAMPLES, recipe.run.seed)
    builds = _LayerBuilds(recipe, opened, file, model, samples, progress)
    tensors = inner_tensors(model, file.target)
    own = [tensor for tensor in tensors if tensor.is_output]
    plain, outputs_db, count = builds.plain_outputs(), 0.0, 0
    seen: dict[str, LayerDifference] = {}
    while count < _MOST_BUILDS and ((chosen := next_tensors(tensors, seen)) or not count):
        figures, decibel = builds.differences([*chosen, *(own if not count else ())], plain)
        seen.update((figure.name, figure) for figure in figures)
        outputs_db, count = outputs_db if count else decibel, count + 1
    layers = tuple(seen[tensor.name] for tensor in tensors if tensor.name in seen)
    first = next((layer.name for layer in layers if not layer.is_rounding), None)
    is_right = not differs and outputs_db == math.inf and all(_agrees(each, seen) for each in own)
    return LayerComparison(
        *(len(samples.grouped()), len(tensors), count, layers),
        *(None if is_right else first, outputs_db),
        is_joined=differs and first is None,
    )


def next_tensors(
    tensors: Sequence[InnerTensor], seen: Mapping[str, LayerDifference]
) -> list[InnerTensor]:
    """Return those to look at next: between the last that agrees and the first that does not.

    At first between the ends. At most ``MOST_OUTPUTS``, spread evenly, the last among them.
    """
    wrong = (i for i, each in enumerate(tensors) if each.name in seen and not _agrees(each, seen))
    end = next(wrong, 0 if seen else len(tensors))
    begin = max((i + 1 for i in range(end) if tensors[i].name in seen), default=0)
    between = [each for each in tensors[begin:end] if not each.is_output]
    count, most = len(between), min(len(between), MOST_OUTPUTS)
    return [between[(place + 1) * count // most - 1] for place in range(most)]


def require_layers(recipe: Recipe, opened: ReadyModel | Rebuildable) -> None:
    """Raise OptionError, or ToolkitError, where layers are asked for that cannot be compared."""
    if not recipe.board.layers:
        return
    if recipe.board.board is None:
        raise OptionError(
            f"{option('layers')} is for a board, and there is none",
            f"say where it is, such as {option('board', 'ssh://user@192.168.1.20')}, or leave it "
            "out",
        )
    require_toolkit(recipe.toolkit.toolkit_python)
    if isinstance(opened, Rebuildable) and not opened.is_own:
        raise OptionError(
            f"{option('layers')}: the .rknn was quantized by the toolkit "
            f"({opened.manifest.quantization}), so it cannot be built again with more outputs in "
            "the same numbers",
            f"leave {option('layers')} out, or quantize the model with rockpress",
        )


def _agrees(tensor: InnerTensor, seen: Mapping[str, LayerDifference]) -> bool:
    return seen[tensor.name].is_rounding


def _runs(runner: BoardRunner, samples: Samples, progress: Progress) -> Iterator[list[Array]]:
    """Yield the outputs (1, ...) of each sample; each is a step of progress."""
    fed = samples.grouped()
    for index in range(len(fed)):
        outputs = runner.run(fed.npu_feeds(index))
        progress.step("board", index + 1, len(fed))
        yield outputs


def _shaped(value: Array, reference: Array) -> Array:
    """Return a board's output in the shape of the simulator's. Raises BoardError."""
    if value.size != reference.size:
        raise BoardError(
            f"an output has the shape {value.shape} on the board, and {reference.shape} in the "
            "simulator"
        )
    return value.reshape(reference.shape)
