"""Cycles of pruned models, predicted in closed form and by the compiler, on several chips.

For the models that benchmarks/pruning.py has pruned into its folder of work:

    python benchmarks/pruning.py --models demo,ppocr-cls --methods rockpress --shares 0.3,0.45
    python benchmarks/prediction.py

A row is a pruned model: cycles over those of the unpruned model by the closed form / by the
compiler, and the error of the pruned model's cycles as they are predicted from the compiler's
figure for the unpruned one. Everything in int8; all were pruned for RK3588. The table is Markdown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from onnx import ModelProto

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.prunings.measuring import model_of  # noqa: E402
from benchmarks.prunings.methods import NAMES  # noqa: E402
from rockpress.convert.chips.cycles import layer_cycles  # noqa: E402
from rockpress.convert.chips.targets import Target, find_target  # noqa: E402
from rockpress.convert.oracle import Oracle  # noqa: E402
from rockpress.core.graphs.graph import Graph  # noqa: E402
from rockpress.core.graphs.layers import layers_of, pooling_of  # noqa: E402
from rockpress.pipeline.samples.ready_model import ready_model  # noqa: E402

_CHIPS = "rk3588,rk3576,rk3566"


def main() -> int:
    """Print a row for every pruned model, and the worst error on each chip."""
    args = _arguments()
    chips = [find_target(name) for name in args.chips.split(",")]
    head = ["model", *(chip.name for chip in chips)]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    worst = dict.fromkeys(head[1:], 0.0)
    with Oracle() as oracle:
        for name in args.models.split(","):
            original = ready_model(model_of(name, args.work)).model
            for file in sorted((args.work / "pruned").glob(f"{name}-rockpress-*.onnx")):
                pruned = ready_model(file).model
                cells = [file.stem.replace("-rockpress-", " -").rpartition("-")[0]]
                for chip in chips:
                    cell, error = _compared(original, pruned, chip, oracle)
                    cells.append(cell)
                    worst[chip.name] = max(worst[chip.name], abs(error))
                print(f"| {' | '.join(cells)} |", flush=True)
    print(f"| worst | {' | '.join(f'{error:.2%}' for error in worst.values())} |")
    return 0


def _compared(
    original: ModelProto, pruned: ModelProto, chip: Target, oracle: Oracle
) -> tuple[str, float]:
    """Return the text about one chip, and the error of the prediction."""
    whole, part = (_closed_form(model, chip) for model in (original, pruned))
    compiled, cut = (oracle.cycles(model, chip.name) for model in (original, pruned))
    error = (compiled - whole + part) / cut - 1
    text = f"{part / whole - 1:+.2%} / {cut / compiled - 1:+.2%}, {error:+.2%}"
    return text, error


def _closed_form(model: ModelProto, chip: Target) -> float:
    graph = Graph(model)
    poolings = (pooling_of(graph, node) for node in graph.nodes)
    layers = [*layers_of(graph), *(pooling for pooling in poolings if pooling is not None)]
    return sum(layer_cycles(layer, chip) for layer in layers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    work = ROOT / "build" / "pruning"
    parser.add_argument("-o", "--work", type=Path, default=work, help="that of pruning.py")
    parser.add_argument("--models", default=",".join(NAMES), help="separated by commas")
    parser.add_argument("--chips", default=_CHIPS, help=f"default {_CHIPS}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
