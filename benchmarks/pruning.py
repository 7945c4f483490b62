"""Trade-off curves of pruning: cycles, MACs and size against accuracy, beside two baselines.

The models are the demo CNN (true accuracy on Fashion-MNIST), PP-OCR's direction classifier (true
accuracy on rendered lines, every second upside down), EfficientNet-Lite0 (crops of photographs:
equal first class where the float model is sure), and PP-OCRv4's detector (overlap of the map of
text on rendered pages) and recogniser (characters read right). None of them is trained again, and
pruning sees unlabelled samples that share nothing with the test samples. Each is cut to several
shares of its rk3588 cycles, then run as a float model in ONNX Runtime, or quantized to int8,
converted and run in the toolkit's simulator. Each result is kept, so an interrupted run goes on
where it was, and several runs may share a folder. The table is Markdown.

    python benchmarks/pruning.py --quick
    python benchmarks/pruning.py --models demo,ppocr-cls --places onnxruntime,rk3588
    python benchmarks/pruning.py --models orientation --orders 0,1,2
    python benchmarks/pruning.py --models ppocr-cls --budget latency --chips rk3588,rk3576
    python benchmarks/pruning.py --table

Methods: rockpress (structured OBS, by sensitivity, least squares), wanda (its cheaper criterion),
uniform (the same share of every group; else as rockpress), magnitude (uniform, the smallest weights
go first, nothing is repaired), distill (rockpress, then trained for --distill-time seconds at most;
needs PyTorch, and is measured when it is asked for). Columns: asked, the share of cycles to save;
predicted, by the closed form that the search uses; cycles and size, by the compiler (places that
are chips); score and its 95 % interval over the test samples; CPU s, of judging the model and of
one cut. A second table has the differences between rockpress and the other methods where they take
about the same cycles (within 3 % of the unpruned model's), of the mean over samples, with a paired
95 % interval. With --chips, models are pruned for each of them, and a third table has the predicted
time that each saves on each; with --orders, for each of these orders of the calibration samples, 0
being as they are. The models come from packages as in benchmarks/quantization.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.prunings.measuring import PruneSetup, measure  # noqa: E402
from benchmarks.prunings.methods import (  # noqa: E402
    CHIP,
    CLS,
    CYCLES,
    METHODS,
    NAMES,
    ORT,
    SHARES,
    USUAL,
    USUAL_NAMES,
    cells_of,
)
from benchmarks.prunings.results import keep_result, read_results  # noqa: E402
from benchmarks.prunings.table import print_chips, print_curves, print_pairs  # noqa: E402

_COUNTS, _QUICK = (100, 600), (16, 32)  # calibration, test


def main() -> int:
    """Measure what is missing, print the table."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # for every child
    chips = args.chips.split(",")
    timed = tuple(chips) if len(chips) > 1 else ()
    setup = PruneSetup(args.work, args.timeout, args.quantizer, args.distill_time, timed)
    counts = (args.calib_count, args.test_count)
    orders = [int(order) for order in args.orders.split(",")]
    cuts = list(product(chips, [args.budget], orders))
    cells = list(cells_of(args.models, args.methods, args.shares, args.places, counts, cuts))
    file = args.work / "pruning.json"
    results = read_results(file)
    for cell in () if args.table else cells:
        if args.again or cell.key not in results:
            result = measure(cell, args.shares, setup)
            results = keep_result(file, cell, result)
            print(cell.key, result.score, result.error[:160], file=sys.stderr, flush=True)
    print_curves(cells, results)
    print_pairs(cells, results)
    print_chips(cells, results)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    work = ROOT / "build" / "pruning"
    parser.add_argument("-o", "--work", type=Path, default=work, help="folder of all files")
    parser.add_argument("--models", help=f"separated by commas, of {', '.join(NAMES)}")
    parser.add_argument("--methods", help=f"of {', '.join(method.name for method in METHODS)}")
    parser.add_argument("--shares", help="parts of the cycles to save, such as 0.1,0.3")
    parser.add_argument("--places", default=ORT, help=f"of {ORT} and the names of chips")
    parser.add_argument("--budget", default=CYCLES, choices=(CYCLES, "latency"))
    parser.add_argument("--chips", default=CHIP, help="that are pruned for, separated by commas")
    parser.add_argument("--orders", default="0", help="seeds of orders of samples, by commas")
    parser.add_argument("--again", action="store_true", help="measure anew what has a result")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    parser.add_argument("--quick", action="store_true", help=f"few samples, one share, only {CLS}")
    parser.add_argument("--calib-count", type=int, metavar="N", help=f"default {_COUNTS[0]}")
    parser.add_argument("--test-count", type=int, metavar="N", help=f"default {_COUNTS[1]}")
    parser.add_argument("--quantizer", default="auto", help="--method of rockpress quantize")
    parser.add_argument("--distill-time", type=float, default=600, help="seconds to train at most")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one process")
    args = parser.parse_args()
    counts = _QUICK if args.quick else _COUNTS
    args.calib_count = args.calib_count or counts[0]
    args.test_count = args.test_count or counts[1]
    args.models = (args.models or (CLS if args.quick else ",".join(USUAL_NAMES))).split(",")
    args.methods = args.methods.split(",") if args.methods else list(USUAL)
    shares = args.shares.split(",") if args.shares else ((0.3,) if args.quick else SHARES)
    args.shares = [float(share) for share in shares]
    args.places = args.places.split(",")
    for asked, choices in (
        (args.models, NAMES),
        (args.methods, [method.name for method in METHODS]),
    ):
        if unknown := set(asked) - set(choices):
            parser.error(f"no {', '.join(sorted(unknown))}; there are: {', '.join(choices)}")
    return args


if __name__ == "__main__":
    sys.exit(main())
