"""What is kept of a model's accuracy, by rockpress and by others, on public models of many tasks.

Each model comes from a package (benchmarks/conversions/models.py) and is quantized for rk3588 by
the toolkit, by ONNX Runtime, by NNCF and by rockpress, pruned and quantized, mixed, and for rk3576
in 4 bits. Each is run on the same test samples, which share no photograph, page or line with the
calibration: in the simulator of the RKNN toolkit, or, to compare with what makes QDQ models, in
ONNX Runtime with optimisations off. Where the samples have labels, the metric is the task's own;
elsewhere it is agreement with the float model, and called that. (One model's package is under the
AGPL: it is downloaded where it is measured, and not bundled.)

    python benchmarks/retention.py --quick
    python benchmarks/retention.py --peer-python /path/to/venv/bin/python
    python benchmarks/retention.py --models mtcnn-rnet --methods rockpress-int8 --again
    python benchmarks/retention.py --table --write

Every row is kept in benchmarks/retentions/measured/MODEL.jsonl as soon as it is measured, so an
interrupted run goes on where it was. --write writes the tables into docs/results.md, between its
two marks. The peers' environment is that of benchmarks/quantization.py. Needs pip's access to a
package index, and, for photographs, apt-get's and dpkg-deb, once.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.quantizations.quantizing import QuantizeSetup, note_of  # noqa: E402
from benchmarks.retentions.measuring import measure  # noqa: E402
from benchmarks.retentions.methods import METHODS, MMSE, NNCF, ORT_MINMAX  # noqa: E402
from benchmarks.retentions.page import tables_of, write_tables  # noqa: E402
from benchmarks.retentions.rows import Row, keep_row, read_rows  # noqa: E402
from benchmarks.retentions.subjects import SUBJECTS, Subject  # noqa: E402

PAGE = ROOT / "docs" / "results.md"
ROWS = ROOT / "benchmarks" / "retentions" / "measured"
_QUICK = ("mtcnn-rnet", "ppocr-cls")
_QUICK_COUNTS = 32, 64  # calibration, test


def main() -> int:
    """Measure the rows that are missing, print or write the tables."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # for every child: seconds that can be compared
    setup = QuantizeSetup(args.work, args.peer_python, args.timeout)
    subjects = _subjects(args)
    for subject in () if args.table else subjects:
        _measure_missing(subject, args, setup)
    tables = tables_of(subjects, read_rows(args.rows))
    if args.write:
        write_tables(PAGE, tables)
    else:
        print(tables)
    return 0


def _measure_missing(subject: Subject, args: argparse.Namespace, setup: QuantizeSetup) -> None:
    for method in METHODS:
        is_asked = method.name in args.methods and (method.name != MMSE or subject.has_mmse)
        if not is_asked or (method.name in (ORT_MINMAX, NNCF) and setup.peer is None):
            continue
        if args.again:
            note_of(subject.name, method, subject.calib, setup.work).unlink(missing_ok=True)
        for place in method.runtimes:
            key = subject.name, method.name, place, subject.calib, subject.test
            if args.again or key not in read_rows(args.rows):
                row = measure(subject, method, place, setup)
                keep_row(args.rows, row)
                _print_row(row)


def _subjects(args: argparse.Namespace) -> list[Subject]:
    chosen = [subject for subject in SUBJECTS if subject.name in args.models]
    if args.quick:
        calib, test = _QUICK_COUNTS
        return [replace(subject, calib=calib, test=test) for subject in chosen]
    return chosen


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    work = ROOT / "build" / "retention"
    parser.add_argument("-o", "--work", type=Path, default=work, help="folder of all other files")
    names, methods = ([each.name for each in table] for table in (SUBJECTS, METHODS))
    parser.add_argument("--models", help=f"separated by commas, of {', '.join(names)}")
    parser.add_argument("--methods", help=f"separated by commas, of {', '.join(methods)}")
    parser.add_argument("--again", action="store_true", help="measure anew what has a row")
    parser.add_argument("--table", action="store_true", help="only read the rows that are there")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    parser.add_argument("--quick", action="store_true", help="two models, few samples, no page")
    parser.add_argument("--peer-python", type=Path, metavar="PATH", help="the peers' interpreter")
    parser.add_argument("--timeout", type=float, default=2400, help="seconds for one process")
    args = parser.parse_args()
    if args.quick and args.write:
        parser.error("--quick measures too little for the page")
    args.rows = args.work / "rows" if args.quick else ROWS
    for name, choices in (("models", names), ("methods", methods)):
        asked = (getattr(args, name) or ",".join(choices)).split(",")
        if unknown := set(asked) - set(choices):
            parser.error(f"no {', '.join(sorted(unknown))}; there are: {', '.join(choices)}")
        setattr(args, name, asked)
    if args.quick:
        args.models = [name for name in args.models if name in _QUICK]
    return args


def _print_row(row: Row) -> None:
    share = f"{sum(row.right) / sum(row.of):.4f}" if row.of else row.error[-160:]
    noise = "" if row.sqnr_db is None else f", {row.sqnr_db:.1f} dB"
    text = f"{row.model} {row.method} {row.place}: {row.seconds:.0f} s, {share}{noise}"
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
