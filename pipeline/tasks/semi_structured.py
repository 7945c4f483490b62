"""2:4 (semi-structured) sparsity: which chips and formats have it, and making a model sparse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx import ModelProto, NodeProto

from ...calibration_data.samples import Samples
from ...convert.chips.sparse_layers import sparse_axes
from ...convert.chips.targets import TARGETS, Target
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.graphs.layers import macs_of
from ...core.graphs.model import load_model, parameter_count, save_model
from ...core.graphs.sparsity import PATTERN, Axis
from ...core.progress import Progress
from ...core.types import Array
from ...prune.results.prune_result import PruneResult
from ...prune.sparse.sparsify import SparseMethod, sparsify
from ..options.prune_options import PruneOptions


def require_sparsity(options: PruneOptions, scheme: str, target: Target) -> None:
    """Raise OptionError when a target cannot gain from the sparsity that is asked for."""
    if options.sparsity is None:
        return
    if options.sparsity != PATTERN:
        raise OptionError(
            f"{option('sparsity', options.sparsity)}: the compiler knows {PATTERN} alone",
            f"use {option('sparsity', PATTERN)}, or leave it out",
        )
    if not target.sparse:
        able = ", ".join(chip.name for chip in TARGETS if chip.sparse)
        raise OptionError(
            f"{option('sparsity', PATTERN)}: {target.name} cannot leave zeros out of a weight",
            f"leave it out, or name a chip that can with {option('target')}: {able}",
        )
    if scheme not in target.sparse:
        raise OptionError(
            f"{option('sparsity', PATTERN)}: the compiler does not recognise it in {scheme}",
            f"quantize to w8a8, or use {option('scheme', 'float16')}",
        )
    if options.max_drop is not None:
        raise OptionError(
            f"{option('sparsity', PATTERN)} is not tried by {option('max-drop')}",
            "give a budget for the channels instead, or leave one of the two out",
        )


def keep_channels(model: ModelProto, output: Path) -> PruneResult:
    """Write a model that keeps all its channels to ``output`` and return that as a result."""
    save_model(model, output)
    macs, parameters = macs_of(model), parameter_count(model)
    return PruneResult(output, None, 0.0, 0.0, macs, macs, parameters, parameters, (), (), {})


def sparsify_result(
    options: PruneOptions,
    scheme: str,
    target: Target,
    result: PruneResult,
    calib: Samples,
    seed: int,
    progress: Progress,
) -> PruneResult:
    """Make the file of a result 2:4 sparse where that is asked for, and return the new result.

    What the layers are to give is what they gave in the model with its channels cut.
    """
    if options.sparsity is None:
        return result

    def axes(node: NodeProto, weight: Array) -> tuple[Axis, ...]:
        return sparse_axes(target, scheme, node, weight)

    method = SparseMethod(options.criterion, options.recover, options.keep, options.only)
    model = load_model(result.path)
    sparse, sparsity = sparsify(
        model, calib, axes=axes, method=method, seed=seed, progress=progress
    )
    save_model(sparse, result.path)
    return replace(result, sparsity=sparsity)
