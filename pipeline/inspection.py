"""What is inside a model file, without running it on data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnx import ModelProto, ValueInfoProto, helper

from ..convert.chips.targets import find_target
from ..convert.latency.scaled import scale_warnings
from ..convert.manifest import Manifest, is_of, manifest_path, read_manifest
from ..convert.toolkit.rknn_file import RknnFacts, read_rknn
from ..core.graphs.cut_points import CutPoint, cut_points
from ..core.graphs.graph import Graph, computed_tensors, fed_inputs, opset_of
from ..core.graphs.layers import LayerShape, layers_of
from ..core.graphs.model import is_qdq, load_model, model_bytes, parameter_count
from ..core.passes.prepare import input_shapes_of, output_shapes_of
from ..core.progress import SILENT, Progress
from ..core.results.family_figure import FamilyFigure
from ..core.types import Shape
from ..prune.channels.channel_rules import build_dependency_graph
from ..prune.channels.groups import find_groups
from ..quantize.schemes import marked_scheme
from .filled_recipe import fill_recipe
from .measured_scales import MeasuredModels, measured_models
from .options.sample_options import ModelOptions
from .recipes.recipe import Recipe
from .samples.input_sets import require_one_shape
from .samples.ready_model import ReadyModel, ready_model


@dataclass(frozen=True)
class ModelFacts:
    """An ONNX file. Sizes of layers are known only when no input is dynamic.

    ``prunable`` is the number of channels that could be removed, ``frozen`` the operators around
    which nothing can. ``tensors`` are all that the model can be ended at, with their shapes where
    these are known, ``cuts`` those where that makes sense. ``family`` is what a run would take
    options from. ``open_inputs`` are the shapes in the file of inputs whose open lengths were fixed
    to be those of ``inputs``. ``rounded_for`` is the number format that the weights of a float
    model were rounded for.
    """

    path: str
    bytes: int
    opset: int
    producer: str
    quantized: bool
    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]
    input_types: dict[str, str]
    output_types: dict[str, str]
    parameters: int
    operators: dict[str, int]
    tensors: dict[str, Shape | None]
    macs: int | None = None
    layers: tuple[LayerShape, ...] = ()
    prunable: int | None = None
    frozen: dict[str, int] | None = None
    family: FamilyFigure | None = None
    cuts: tuple[CutPoint, ...] = ()
    open_inputs: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    rounded_for: str | None = None


@dataclass(frozen=True)
class RknnInspection:
    """What a ``.rknn`` says itself, what the manifest beside it adds, and where they disagree."""

    file: RknnFacts
    manifest: Manifest | None
    disagreements: tuple[str, ...] = ()


def inspect_onnx(path: Path, options: ModelOptions) -> ModelFacts:
    """Read an ONNX file; with fixed shapes its layers too. Raises ModelError or OptionError."""
    model = load_model(path)
    free = [name for name, shape in input_shapes_of(model).items() if None in shape[1:]]
    if set(free) - set(options.input) and options.size is None and not options.outputs:
        return _facts(path, model)
    return facts_of(ready_model(path, options))


def inspect_model(recipe: Recipe) -> ModelFacts:
    """Read the model of a recipe as ``inspect_onnx`` does, in the size that its family has.

    Raises ModelError or OptionError.
    """
    require_one_shape(recipe.shape, "inspect")
    filled = fill_recipe(recipe, "run")
    return replace(inspect_onnx(recipe.model, filled.recipe.shape), family=filled.family)


def facts_of(ready: ReadyModel) -> ModelFacts:
    """Return the facts of a model whose shapes are fixed, its layers among them."""
    graph = Graph(ready.model)
    layers = tuple(layers_of(graph))
    dependency = build_dependency_graph(graph)
    facts = _facts(ready.path, ready.original)
    return replace(
        facts,
        inputs=dict(ready.inputs),
        open_inputs={
            name: shape
            for name, shape in facts.inputs.items()
            if name in ready.inputs and None in shape
        },
        outputs=output_shapes_of(ready.model),
        macs=sum(layer.macs for layer in layers),
        layers=layers,
        prunable=sum(group.size for group in find_groups(dependency)),
        frozen=dependency.unknown,
        tensors={name: graph.shapes.get(name, shape) for name, shape in facts.tensors.items()},
        cuts=tuple(cut for cut in cut_points(graph) if cut.tensor in facts.tensors),
    )


def _facts(path: Path, model: ModelProto) -> ModelFacts:
    return ModelFacts(
        path=str(path),
        bytes=model_bytes(path),
        opset=opset_of(model),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        quantized=is_qdq(model),
        rounded_for=scheme.name if (scheme := marked_scheme(model)) else None,
        inputs=input_shapes_of(model),
        outputs=output_shapes_of(model),
        input_types=_types(fed_inputs(model.graph)),
        output_types=_types(model.graph.output),
        parameters=parameter_count(model),
        operators=dict(Counter(node.op_type for node in model.graph.node).most_common()),
        tensors=dict.fromkeys(computed_tensors(model)),
    )


def _types(values: Iterable[ValueInfoProto]) -> dict[str, str]:
    """Return name -> element type as numpy calls it, "" where the model does not say."""
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return {
        name: helper.tensor_dtype_to_np_dtype(kind).name if kind else ""
        for name, kind in types.items()
    }


def inspect_rknn(
    path: Path, recipe: Recipe | None = None, progress: Progress = SILENT
) -> RknnInspection:
    """Read a ``.rknn``, and the manifest beside it if there is one.

    Its latency is estimated anew from the layers, at the scale of what was measured.
    Raises ModelError when the file is none, RockpressError when the manifest is broken.
    """
    facts = read_rknn(path)
    if not manifest_path(path).is_file():
        return RknnInspection(facts, None)
    manifest = read_manifest(manifest_path(path))
    disagreements = _disagreements(facts, manifest)
    if not disagreements and not is_of(manifest, path):
        disagreements = ("the file is not the one that it was written for (sha256)",)
    chip = find_target(manifest.target)
    measured = measured_models(recipe, [chip], progress) if recipe else MeasuredModels({}, {})
    scale = measured.scales.get(manifest.target)
    for warning in scale_warnings(scale) if scale else ():
        progress.warn(warning)
    manifest = replace(manifest, latency=measured.estimate(path, manifest))
    return RknnInspection(facts, manifest, disagreements)


def _disagreements(facts: RknnFacts, manifest: Manifest) -> tuple[str, ...]:
    """Return what the manifest says otherwise than the file: then it belongs to another file."""
    pairs = {
        "target": (manifest.target, facts.target),
        "toolkit": (manifest.toolkit, facts.toolkit),
        "inputs": (_names(manifest.inputs), _names(facts.inputs)),
        "outputs": (_names(manifest.outputs), _names(facts.outputs)),
    }
    return tuple(
        f"{name} {noted} in the manifest, {actual} in the file"
        for name, (noted, actual) in pairs.items()
        if noted != actual
    )


def _names(tensors: Sequence[object]) -> str:
    return ", ".join(str(getattr(tensor, "name", "")) for tensor in tensors) or "none"
