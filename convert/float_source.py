"""The float model behind a quantized one, for the toolkit's own quantizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from ..core.errors import OptionError
from ..core.graphs.model import load_model, save_model
from .handover import ModelInput, inputs_of
from .lowering.float_form import float_form
from .toolkit.job import ToolkitPlan


@dataclass(frozen=True)
class FloatSource:
    """A float model, in a file, with the ranges and types that the QDQ model has for it.

    It ``is_derived`` where it was taken out of the QDQ model, so its weights are rounded already.
    """

    path: Path
    model: ModelProto
    plan: ToolkitPlan
    is_derived: bool


def float_source(
    model: ModelProto,
    given: Path | None,
    plan: ToolkitPlan | None,
    inputs: tuple[ModelInput, ...],
    folder: Path,
) -> FloatSource:
    """Return the float model of a QDQ one: the file that is ``given``, or the one inside it.

    The latter is written to ``folder``. Without a ``plan`` the QDQ model says ranges and types.
    Raises OptionError when the file has other inputs.
    """
    form = float_form(model)
    if given is None:
        path = folder / "float.onnx"
        save_model(form.model, path)
        return FloatSource(path, form.model, plan or form.plan, is_derived=True)
    loaded = load_model(given)
    shapes = [(tensor.name, tensor.shape) for tensor in inputs]
    if [(tensor.name, tensor.shape) for tensor in inputs_of(loaded, None, None)] != shapes:
        raise OptionError(
            f"{given} has other inputs than the quantized model",
            "give the float model that the quantized one was made from",
        )
    return FloatSource(given, loaded, plan or form.plan, is_derived=False)
