"""Which operators the installed toolkit takes off the NPU, beside what the table says.

Builds the operators as branches of one model, each alone where that fails, and compares where
their layers run with what ``audit`` foretells from convert/chips/operators.py. Prints one line for
each difference; none means that the table is right. An operator that takes any number of axes is
measured on a plane of an image, on tokens and on a vector.

    python benchmarks/operators.py [--roundings] [TARGET ...]      (rk3588 if none is named)
    python benchmarks/operators.py --networks [NAME ...]           (all six if none is named)

With --roundings it prints instead what the toolkit does not round between a layer and its
activation, see operator_roundings.py; with --networks what that is in whole networks, see
retentions/unrounded_insides.py.

Branches are built with all the toolkit's rules or not at all: where a rule fails on one operator
and is switched off, others fare worse than they would in a model of their own.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper
from onnx.compose import add_prefix

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.operator_cases import OPSET, SHAPE, operator_models  # noqa: E402
from benchmarks.operator_roundings import print_roundings  # noqa: E402
from benchmarks.retentions.unrounded_insides import print_networks  # noqa: E402
from rockpress.convert.audit.model_audit import audit  # noqa: E402
from rockpress.convert.chips.compiler_log import Layer  # noqa: E402
from rockpress.convert.chips.targets import Target, find_target  # noqa: E402
from rockpress.convert.convert import convert  # noqa: E402
from rockpress.convert.request import ConversionRequest  # noqa: E402
from rockpress.core.errors import ToolkitError  # noqa: E402

BRANCH = re.compile(r"case(\d+)_")
ALL_RULES = 3  # the toolkit's optimisation level that has them
# what reads x, and what the compiler joins or splits around it, is not the operator's own row
COMPANIONS = {"Reshape", "Transpose"}


def main(names: list[str]) -> None:
    """Compare for each target and number format, or print what is not rounded."""
    if "--networks" in names:
        chosen = [name for name in names if name != "--networks"]
        print_networks(chosen, ROOT / "build" / "retention")
        return
    if "--roundings" in names:
        for name in [name for name in names if name != "--roundings"] or ["rk3588"]:
            print_roundings(find_target(name).name)
        return
    models = operator_models()
    for target in map(find_target, names):
        for quantization in ("float16", "normal"):
            if quantization == "float16" and "float16" not in target.dtypes:
                continue
            statuses = measured(models, target, quantization)
            different = list(differences(models, statuses, target, quantization))
            print(f"{target.name} {quantization}: {len(models)} operators, {len(different)} differ")
            print("".join(f"  {line}\n" for line in different), end="", flush=True)


def differences(
    models: Mapping[str, ModelProto], statuses: Mapping[str, str], target: Target, quantization: str
) -> Iterator[str]:
    """Yield one line for each model of which the toolkit says something else than the table."""
    for name, model in models.items():
        codes = {warning.code for warning in audit(model, target, quantization=quantization)}
        foretold = "refused" if "toolkit-operator" in codes else "CPU" if codes else "NPU"
        if statuses[name] != foretold:
            yield f"{name}: {statuses[name]}, and the table says {foretold}"


def measured(models: Mapping[str, ModelProto], target: Target, quantization: str) -> dict[str, str]:
    """Return name -> CPU if a layer runs there, NPU if none does, refused if the build fails.

    Many are built as branches of one model, which is halved until the one that fails is alone; that
    is built as any model is, with a rule of the toolkit switched off if need be.
    """
    names = list(models)
    try:
        layers = built(list(models.values()), target, quantization, level=ALL_RULES)
    except ToolkitError:
        if len(names) == 1:
            return {names[0]: _alone(models[names[0]], target, quantization)}
        middle = len(names) // 2
        first, rest = ({n: models[n] for n in part} for part in (names[:middle], names[middle:]))
        return {**measured(first, target, quantization), **measured(rest, target, quantization)}
    slow = _on_cpu(layers)
    return {name: "CPU" if number in slow else "NPU" for number, name in enumerate(names)}


def _alone(model: ModelProto, target: Target, quantization: str) -> str:
    try:
        return "CPU" if _on_cpu(built([model], target, quantization)) else "NPU"
    except ToolkitError:
        return "refused"


def _on_cpu(layers: Sequence[Layer]) -> set[int]:
    """Return the numbers of the branches that have a layer of their own on the CPU."""
    return {
        int(match[1])
        for layer in layers
        if layer.runs_on == "CPU" and layer.op not in COMPANIONS and not layer.is_boundary
        for match in [BRANCH.search(layer.name)]
        if match
    }


def built(
    models: Sequence[ModelProto], target: Target, quantization: str, level: int | None = None
) -> tuple[Layer, ...]:
    """Return the layers of one model with all of them as branches, named case0_, case1_, ...

    With a ``level`` of optimisation that is taken as it is, or ToolkitError raised.
    """
    branches = [add_prefix(model, f"case{number}_") for number, model in enumerate(models)]
    graph = helper.make_graph([], "operators", [branches[0].graph.input[0]], [])
    graph.input[0].name = "image"
    for number, branch in enumerate(branches):
        for node in branch.graph.node:
            node.input[:] = ["image" if n == f"case{number}_image" else n for n in node.input]
        graph.node.extend(branch.graph.node)
        graph.initializer.extend(branch.graph.initializer)
        graph.output.extend(branch.graph.output)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])
    random = np.random.default_rng(0)
    samples = [{"image": random.standard_normal(SHAPE, dtype=np.float32)} for _ in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operators.onnx"
        onnx.save(model, str(path))
        return convert(
            ConversionRequest(
                path,
                None,
                target.name,
                quantization=quantization,
                calibration=samples,
                level=level,
            )
        ).layers


if __name__ == "__main__":
    main(sys.argv[1:] or ["rk3588"])
