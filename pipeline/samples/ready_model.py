"""The model made ready, and samples bound to its inputs: where every command starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from ...calibration_data.batches import InputTypes
from ...calibration_data.hygiene import sample_warnings
from ...calibration_data.image_inputs import preprocess_for
from ...calibration_data.preprocess import Preprocess
from ...calibration_data.preprocessing import Preprocessing
from ...calibration_data.samples import Samples, bind_source, open_samples
from ...calibration_data.sources.source_types import Source
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.graphs.determinism import require_deterministic
from ...core.graphs.graph import Graph, computed_tensors, extract_until, fed_inputs, read_by, refill
from ...core.graphs.joins import last_readers
from ...core.graphs.model import is_qdq, load_model, model_digest, parse_model
from ...core.graphs.origin import note_origin, noted_origin
from ...core.graphs.quantized_operators import require_float_operators
from ...core.passes.constant_inputs import with_constant_inputs
from ...core.passes.float_weights import stores_few_bits
from ...core.passes.prepare import fixed_input_shapes, input_shapes_of, prepare_model
from ...core.progress import Progress
from ...core.types import Shape
from ...quantize.schemes import marked_scheme
from ..options.sample_options import ModelOptions
from ..recipes.recipe import Recipe
from ..recognition.raw_logits import raw_class_maps
from .class_names import names_in
from .rolled_states import with_states

_WHOLE = ModelOptions()


@dataclass(frozen=True)
class ReadyModel:
    """A loaded model with fixed shapes: ``original`` as it is in the file, ``model`` folded.

    The latter names the model that it was made from, where that is known: what is made of it does.
    """

    path: Path
    original: ModelProto
    model: ModelProto

    @property
    def inputs(self) -> dict[str, Shape]:
        """Return input name -> fixed shape."""
        return fixed_input_shapes(self.model)

    @property
    def digests(self) -> dict[str, str]:
        """Return role -> digest for a manifest: of the file (source), of what it is from (origin).

        The latter is that of the float model that other forms of it share; missing if not known.
        """
        origin = noted_origin(self.model)
        return {"source": model_digest(self.path), **({"origin": origin} if origin else {})}

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is to be known of how the model was made ready."""
        if not stores_few_bits(self.original) or is_qdq(self.model):
            return ()
        return (
            Diagnostic(
                "weight-dequantized",
                f"{self.path} holds quantized weights without quantized activations; they are "
                "taken "
                "as the floats that they stand for",
                "the model from before they were quantized would be more exact",
            ),
        )

    @property
    def changed_types(self) -> tuple[Diagnostic, ...]:
        """Return the warning that a model made of this has other types than the file, if it has."""
        old, new = (_types_of(each) for each in (self.original, self.model))
        changed = [
            f"{name!r} from {old[name]} to {kind}"
            for name, kind in new.items()
            if old.get(name, kind) != kind
        ]
        if not changed:
            return ()
        is_half = not {"float16", "bfloat16"}.isdisjoint(old.values())
        weights = "; float weights take 32 bits" if is_half else ""
        return (
            Diagnostic(
                "model-types",
                f"what is written has other types than {self.path}: {', '.join(changed)}{weights}",
                "feed it these; what is computed on the NPU is int8 or float16 all the same",
            ),
        )

    @property
    def takes_bytes(self) -> bool:
        """Whether the only input is of uint8 in the file, and an image with its channels first."""
        declared = fed_inputs(self.original.graph)
        if len(declared) != 1 or declared[0].type.tensor_type.elem_type != TensorProto.UINT8:
            return False
        shape = self.inputs[declared[0].name]
        return len(shape) == 4 and shape[0] == 1 and shape[1] in (1, 3) and shape[3] not in (1, 3)

    def samples(
        self, path: Path, preprocessing: Preprocessing, count: int | None = None, seed: int = 0
    ) -> Samples:
        """Open samples for this model, with their classes in its order where it names them.

        Raises SamplesError or OptionError.
        """
        rolled = partial(with_states, model=self.model)
        samples = open_samples(path, self.inputs, preprocessing, count, seed, rolled, self._types)
        return samples.in_order_of(names_in(self.original))

    def bound(self, source: Source, path: Path, preprocessing: Preprocessing) -> Samples:
        """Return all samples of a source that is opened already, as ``samples`` does."""
        rolled = partial(with_states, model=self.model)
        samples = bind_source(source, path, self.inputs, preprocessing, rolled, self._types)
        return samples.in_order_of(names_in(self.original))

    @property
    def _types(self) -> InputTypes:
        """Return the type of each input that is fed."""
        return {
            value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            for value in fed_inputs(self.model.graph)
        }

    def preprocess(self, preprocessing: Preprocessing) -> Preprocess:
        """Return what happens to images for this model. Raises SamplesError or OptionError."""
        return preprocess_for(self.inputs, self.path, preprocessing)


def ready_model(path: Path, options: ModelOptions = _WHOLE) -> ReadyModel:
    """Load a model as its options have it: with constant inputs, ended earlier, of fixed shapes.

    Raises ModelError or OptionError.
    """
    original = load_model(path)
    if options.constant:
        original = with_constant_inputs(original, options.constant)
    if options.outputs:
        original = _ended_at(original, options.outputs)
    shapes = options.largest
    if options.size is not None:
        shapes = {**_sized(original, options.size), **shapes}
    origin = _origin_of(original, path)
    model = prepare_model(original, shapes)
    if origin is not None:
        note_origin(model, origin)
    return ReadyModel(path, original, model)


def _origin_of(model: ModelProto, path: Path) -> str | None:
    """Return the digest of what a model was made from, its file's own if it is an original.

    None where it was quantized by a program that notes no such thing.
    """
    noted = noted_origin(model)
    if noted is not None:
        return noted
    is_made = is_qdq(model) or stores_few_bits(model) or marked_scheme(model) is not None
    return None if is_made else model_digest(path)


def ready_candidate(path: Path, options: ModelOptions) -> ReadyModel:
    """Load a model that may have been made with these options, so that their constants are in it.

    Raises ModelError or OptionError.
    """
    inputs = {value.name for value in fed_inputs(parse_model(path).graph)}
    left = {name: value for name, value in options.constant.items() if name in inputs}
    return ready_model(path, replace(options, constant=left))


def logits_at_end(ready: ReadyModel, options: ModelOptions) -> tuple[str, ...]:
    """Return those of the outputs that a model is ended at which else only a Sigmoid would read.

    The host computes their scores then. Of a model that came ended at its maps they are told by
    their form. Raises ModelError or OptionError.
    """
    if not options.outputs:
        return raw_class_maps(ready.model)
    graph = Graph(ready_model(ready.path, replace(options, outputs=())).model)
    return tuple(name for name in options.outputs if set(last_readers(graph, name)) == {"Sigmoid"})


def require_calibration(calib: Samples | None, stage: str) -> Samples:
    """Return the samples. Raises OptionError when there are none, which the ``stage`` needs."""
    if calib is None:
        raise OptionError(f"{stage} needs calibration samples", f"give some with {option('calib')}")
    return calib


def open_calibrated(
    recipe: Recipe, stage: str, progress: Progress
) -> tuple[ReadyModel, Samples, tuple[Diagnostic, ...]]:
    """Return the model, its calibration samples, and the warnings on these, given to ``progress``.

    Raises OptionError without samples, which the ``stage`` needs, SamplesError or ModelError.
    """
    ready = ready_model(recipe.model, recipe.shape)
    require_deterministic(ready.original, ready.model)
    require_float_operators(ready.model)
    calib = require_calibration(calibration_samples(ready, recipe), stage)
    warnings = (
        *ready.warnings,
        *ready.changed_types,
        *sample_warnings(calib, None, recipe.run.seed),
    )
    for warning in warnings:
        progress.warn(warning)
    return ready, calib, warnings


def calibration_samples(ready: ReadyModel, recipe: Recipe) -> Samples | None:
    """Open the calibration samples; None when there are none. Raises SamplesError."""
    samples = recipe.samples
    if samples.calib is None:
        return None
    return ready.samples(samples.calib, recipe.preprocessing, samples.calib_count, recipe.run.seed)


def _types_of(model: ModelProto) -> dict[str, str]:
    """Return the type of every input and output that declares one, by name."""
    kinds = {
        value.name: TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
        for value in (*fed_inputs(model.graph), *model.graph.output)
        if value.type.tensor_type.elem_type != TensorProto.UNDEFINED
    }
    words = {"float": "float32", "double": "float64"}
    return {name: words.get(kind, kind) for name, kind in kinds.items()}


def _ended_at(model: ModelProto, outputs: Sequence[str]) -> ModelProto:
    computed = computed_tensors(model)
    for name in outputs:
        if name not in computed:
            near = get_close_matches(name, computed, 3)
            raise OptionError(
                f"{option('outputs')}: the model computes no tensor {name!r} to end at",
                f"did you mean {' or '.join(near)}?"
                if near
                else "rockpress inspect lists its tensors",
            )
    ended = extract_until(model, outputs)
    ended.metadata_props.extend(model.metadata_props)
    read = {name for node in ended.graph.node for name in read_by(node)}
    left = [value for value in fed_inputs(ended.graph) if value.name in read]
    if len(left) == 1:  # the others are such as the scale of a detector's boxes: images will do now
        refill(ended.graph.input, left)
    return ended


def _sized(model: ModelProto, size: tuple[int, int]) -> dict[str, Shape]:
    """Return the shape of the one image input at this height and width (channels first or last)."""
    images = {name: shape for name, shape in input_shapes_of(model).items() if len(shape) == 4}
    if len(images) != 1:
        raise OptionError(
            f"{option('size', list(size))} is for a model with one image input, this one has "
            f"{len(images)}",
            f"fix the shapes with {option('input', {'NAME': [1, 3, 48, 320]})}",
        )
    name, shape = next(iter(images.items()))
    if shape[3] in (1, 3) and shape[1] not in (1, 3):
        return {name: (1, *size, shape[3])}
    return {name: (1, shape[1] or 3, *size)}
