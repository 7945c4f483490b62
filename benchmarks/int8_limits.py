"""What keeps int8 from the float model: its activations, its weights, or what the classes allow.

Classifiers of the results, on the same crops. Each is quantized by ``rockpress quantize --mixed
off`` and run in ONNX Runtime as it is, with the activations alone in int8 (the weights as they were
in float) and with the weights alone; and with activations in ranges of the test crops themselves,
which nobody has. Then the error of int8 is taken off in parts, to see how many dB it takes that so
many first classes stay.

    python benchmarks/int8_limits.py --models efficientnet-lite0,efficientnet-lite1

* agree: first class that of the float model, with the 95 % interval over photographs.
* SQNR: of all test outputs together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, load

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.quantizations.running import fixed_model, reference  # noqa: E402
from benchmarks.retentions.subjects import SUBJECTS, Subject  # noqa: E402

_MODELS = "efficientnet-lite0,efficientnet-lite1,efficientnet-lite2"
_HEAD = "| model | | SQNR dB | agree | 95 % |"
_SHARES = (0.7, 0.5, 0.35, 0.25)
_DRAWS = 2000  # of the bootstrap


def main() -> None:
    """Measure model by model, and print each row as soon as it is known."""
    args = _arguments()
    rule = "|---" * (_HEAD.count("|") - 1) + "|"
    print(_HEAD, rule, sep="\n", flush=True)
    for name in args.models.split(","):
        subject = next(subject for subject in SUBJECTS if subject.name == name)
        for row in _rows(subject, args.work):
            print(f"| {name} | {row} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", default=_MODELS, help="separated by commas")
    parser.add_argument("-o", "--work", type=Path, default=ROOT / "build" / "retention")
    return parser.parse_args()


def _rows(subject: Subject, work: Path) -> Iterator[str]:
    """Yield what each form of a model keeps, and the dB that it takes to keep the goal."""
    test = subject.samples("test", subject.test, work)
    calib = subject.samples("calib", subject.calib, work)
    file = fixed_model(subject.name, work)
    expected = np.asarray(reference(subject.name, file, test, work))
    crops = np.load(test.together, mmap_mode="r")
    sources = np.unique(np.asarray(test.sources), return_inverse=True)[1]

    def row(form: str, outputs: Any) -> str:
        decibels = 10 * np.log10(np.square(expected).sum() / np.square(expected - outputs).sum())
        equal = expected.argmax(axis=1) == outputs.argmax(axis=1)
        low, high = _interval(equal, sources)
        return f"{form} | {decibels:.1f} | {equal.mean():.3f} | {low:.3f} to {high:.3f}"

    floating, quantized = _quantized(file, calib.listing, subject.calib, work)
    outputs = _outputs(quantized, crops)
    yield row("int8", outputs)
    yield row("weights alone in int8", _outputs(with_float_activations(quantized), crops))
    alone = with_float_weights(floating, quantized)
    yield row("activations alone in int8", _outputs(alone, crops))
    floating, quantized = _quantized(file, test.listing, subject.test, work)
    alone = with_float_weights(floating, quantized)
    yield row("the same, ranges of the test crops", _outputs(alone, crops))
    for share in _SHARES:
        yield row(f"int8, {share:g} of its error", expected + share * (outputs - expected))


def _quantized(file: Path, listing: Path, count: int, work: Path) -> tuple[ModelProto, ModelProto]:
    """Return the float model that is rounded, of equalized channels maybe, and the QDQ model."""
    from rockpress.pipeline.samples.ready_model import ready_model
    from rockpress.quantize.integer.equalize import equalized
    from rockpress.quantize.rendering.plan import read_plan

    folder = work / "limits"
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"{listing.parent.name}.onnx"
    command = [sys.executable, "-m", "rockpress", "quantize", str(file), "--calib", str(listing)]
    command += ["--calib-count", str(count), "--mixed", "off", "-q", "-o", str(output)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    factors = read_plan(output.with_suffix(".plan.toml")).equalization
    model = ready_model(file).model
    return equalized(model, factors) if factors else model, load(output)


def with_float_weights(model: ModelProto, quantized: ModelProto) -> ModelProto:
    """Return the quantized model with the weights and biases of the model that it was made of."""
    from rockpress.quantize.rendering.qdq import computing_nodes

    copy = ModelProto()
    copy.CopyFrom(quantized)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    present = {tensor.name for tensor in copy.graph.initializer}
    for node, other in computing_nodes(model, copy):
        for place, name in enumerate(node.input):
            if name in constants:
                other.input[place] = name
                if name not in present:
                    copy.graph.initializer.append(constants[name])
                    present.add(name)
    return copy


def with_float_activations(quantized: ModelProto) -> ModelProto:
    """Return the quantized model without the rounding of what is computed."""
    copy = ModelProto()
    copy.CopyFrom(quantized)
    rounded = {node.output[0]: node for node in copy.graph.node if node.op_type == "QuantizeLinear"}
    for node in copy.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in rounded:
            source = rounded[node.input[0]].input[0]
            node.op_type = "Identity"
            node.domain = ""
            del node.input[:], node.attribute[:]
            node.input.append(source)
    return copy


def _outputs(model: ModelProto, crops: Any) -> Any:
    """Return the outputs (crops, classes), nothing of the graph optimised."""
    from rockpress.core.session import Session

    session = Session(model, optimise=False)
    (name,) = session.input_names
    return np.concatenate([session.run({name: crop})[-1].reshape(1, -1) for crop in crops])


def _interval(equal: Any, sources: Any) -> tuple[float, float]:
    """Return the 95 % interval of a mean over samples, those of a photograph drawn together."""
    random = np.random.default_rng(0)
    hits, counts = np.bincount(sources, equal), np.bincount(sources)
    drawn = random.integers(len(counts), size=(_DRAWS, len(counts)))
    means = hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
