"""What is inside a model file, without running it on data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..convert.manifest import Manifest, manifest_path, read_manifest
from ..core.errors import ModelError
from ..core.graph import Graph
from ..core.layers import LayerShape, layers_of
from ..core.model import is_qdq, load_model, model_bytes, parameter_count
from ..core.prepare import Shape, input_shapes_of, output_shapes_of, prepare_model
from ..prune.dependency import build_dependency
from ..prune.groups import find_groups


@dataclass(frozen=True)
class ModelFacts:
    """An ONNX file. Sizes of layers are known only when no input is dynamic.

    ``prunable`` is the number of channels that could be removed, ``frozen`` the operators around
    which nothing can.
    """

    path: str
    bytes: int
    opset: int
    producer: str
    quantized: bool
    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]
    parameters: int
    operators: dict[str, int]
    macs: int | None = None
    layers: tuple[LayerShape, ...] = ()
    prunable: int | None = None
    frozen: dict[str, int] | None = None


def inspect_onnx(path: Path, input_shapes: Mapping[str, Shape]) -> ModelFacts:
    """Read an ONNX file; with fixed shapes its layers too. Raises ModelError or OptionError."""
    model = load_model(path)
    facts = ModelFacts(
        path=str(path),
        bytes=model_bytes(path),
        opset=next(e.version for e in model.opset_import if e.domain in ("", "ai.onnx")),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        quantized=is_qdq(model),
        inputs=input_shapes_of(model),
        outputs=output_shapes_of(model),
        parameters=parameter_count(model),
        operators=dict(Counter(node.op_type for node in model.graph.node).most_common()),
    )
    free = [name for name, shape in facts.inputs.items() if None in shape[1:]]
    if set(free) - set(input_shapes):
        return facts
    prepared = prepare_model(model, input_shapes)
    graph = Graph(prepared)
    layers = tuple(layers_of(graph))
    dependency = build_dependency(graph)
    return replace(
        facts,
        macs=sum(layer.macs for layer in layers),
        layers=layers,
        prunable=sum(group.size for group in find_groups(dependency)),
        frozen=dependency.unknown,
    )


def inspect_rknn(path: Path) -> Manifest:
    """Read what the manifest beside a ``.rknn`` says. Raises ModelError without one."""
    if not path.is_file():
        raise ModelError(f"{path}: the file does not exist", "give the path of a .rknn file")
    if not manifest_path(path).is_file():
        raise ModelError(
            f"{path}: there is no manifest beside it, and the file itself does not say how to "
            "feed it",
            f"keep {manifest_path(path).name}, which rockpress writes, beside the .rknn",
        )
    return read_manifest(manifest_path(path))
