"""Convert real models with rockpress and with plain toolkit calls, and compare what comes out.

Every model (see conversions/models.py) is converted for the rk3588 in float16 and in int8, by
rockpress and by the calls of the toolkit's own examples, with every toolkit that is named. Each
conversion runs in a process of its own. The results are kept after each one, so an interrupted run
goes on where it was, and two runs with different models may share a folder. The table at the end is
Markdown. Exit code 1: the plain toolkit converted something that rockpress did not.

    python benchmarks/conversion.py --toolkit-python 2.3.2=/path/to/venv/bin/python
    python benchmarks/conversion.py --quick

An environment for a toolkit version is made with

    uv venv --python 3.11 /path/to/venv
    uv pip install --python /path/to/venv --no-deps -r benchmarks/toolkit-2.3.2.txt

This interpreter's own toolkit is always compared. Needs pip's access to a package index, once.

--architectures measures a second table: untrained networks (conversions/architectures.py) as the
exporters of PyTorch write them today, pruned, quantized and converted for three chips, beside plain
toolkit calls in int8 and ONNX Runtime's static quantizer on the same samples. Exit code 1: the
plain toolkit converted something that rockpress did not, or was closer by more than 1 dB, or
rockpress ended with exit code 3. --table alone prints the rows in conversions/architectures.json.

    python benchmarks/conversion.py --architectures --export-python /path/to/venv/bin/python
    python benchmarks/conversion.py --architectures --quick --export-python ...

The environment that exports is made with (a PyTorch for the CPU is enough; pip takes one that its
find-links has)

    python3.11 -m venv /path/to/venv
    /path/to/venv/bin/pip install -r benchmarks/export.txt
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.conversions.architecture_rows import (  # noqa: E402
    CHIPS,
    cases_of,
    print_rows,
    rows_of,
)
from benchmarks.conversions.architecture_rows import TOOLS as ROW_TOOLS  # noqa: E402
from benchmarks.conversions.architectures import ARCHITECTURES, QUICK_ARCHITECTURES  # noqa: E402
from benchmarks.conversions.exported import exported_model  # noqa: E402
from benchmarks.conversions.measure import Case, Outcome, measure  # noqa: E402
from benchmarks.conversions.models import MODELS, QUICK, Model  # noqa: E402
from benchmarks.conversions.outcomes import (  # noqa: E402
    add_outcome,
    print_outcome,
    read_outcomes,
)
from benchmarks.conversions.packages import model_file  # noqa: E402
from benchmarks.conversions.table import print_tables, regressions  # noqa: E402

PRECISIONS = ("float16", "int8")
TOOLS = ("plain", "rockpress")
ROWS = ROOT / "benchmarks" / "conversions" / "architectures.json"


def main() -> int:
    """Run what is missing, print the tables; 1 when rockpress converts less than the toolkit."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # for every child: seconds that can be compared
    return _architectures(args) if args.architectures else _packaged_models(args)


def _packaged_models(args: argparse.Namespace) -> int:
    chosen = [model for model in MODELS if model.name in args.models]
    file = args.work / "results.json"
    results = read_outcomes(file)
    if not args.table:
        for case in _missing(args, chosen, results):
            model = next(candidate for candidate in chosen if candidate.name == case.model)
            python = args.toolkits[case.toolkit]
            path = model_file(model, args.work)
            outcome = measure(case, model, path, python, args.timeout)
            results = add_outcome(file, case, outcome)
            print_outcome(case, outcome)
    cases = [case for case in _cases(args, chosen) if case.key in results]
    print_tables(cases, results)
    return int(bool(regressions(cases, results)))


def _architectures(args: argparse.Namespace) -> int:
    """Measure what is missing of the second table; 1 when a row of it is wrong."""
    toolkit = importlib.metadata.version("rknn-toolkit2")
    chosen = [each for each in ARCHITECTURES if each.name in args.models]
    file = args.rows or (ROWS if args.table else args.work / ROWS.name)
    results = read_outcomes(file)
    for case in () if args.table else cases_of(chosen, toolkit):
        is_asked = case.tool in args.tools.split(",") and case.target in args.targets.split(",")
        if is_asked and (args.again or case.key not in results):
            architecture = next(each for each in chosen if each.name == case.model)
            path = exported_model(architecture, args.work, args.export_python)
            python = args.export_python if case.tool == "onnxruntime" else Path(sys.executable)
            outcome = measure(case, architecture.model, path, python, args.timeout)
            results = add_outcome(file, case, outcome)
            print_outcome(case, outcome)
    rows = rows_of(chosen, toolkit, results)
    print_rows(rows)
    return int(any(failure for row in rows for failure in row.failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "-o",
        "--work",
        type=Path,
        default=ROOT / "build" / "conversion",
        help="folder of the packages, the models and results.json",
    )
    parser.add_argument(
        "--toolkit-python",
        action="append",
        default=[],
        metavar="VERSION=PATH",
        help="another toolkit and the interpreter that has it; repeatable",
    )
    parser.add_argument("--models", help="names, separated by commas")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--tools", help="separated by commas; all of them by default")
    parser.add_argument(
        "--architectures",
        action="store_true",
        help="the second table: untrained networks as PyTorch exports them today",
    )
    parser.add_argument(
        "--export-python", type=Path, metavar="PATH", help="the interpreter that has PyTorch"
    )
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="file of the second table's outcomes"
    )
    parser.add_argument("--targets", default=",".join(CHIPS), help="chips of the second table")
    parser.add_argument("--again", action="store_true", help="measure anew what has a result")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for one conversion")
    args = parser.parse_args()
    args.toolkits = dict(pair.split("=", 1) for pair in args.toolkit_python)
    args.toolkits = {version: Path(path) for version, path in args.toolkits.items()}
    args.toolkits.setdefault(importlib.metadata.version("rknn-toolkit2"), Path(sys.executable))
    table = (ARCHITECTURES, QUICK_ARCHITECTURES) if args.architectures else (MODELS, QUICK)
    names = [each.name for each in table[0]]
    args.models = args.models.split(",") if args.models else table[1] if args.quick else names
    if unknown := set(args.models) - set(names):
        parser.error(f"no model {', '.join(unknown)}; there are: {','.join(names)}")
    args.tools = args.tools or ",".join(ROW_TOOLS if args.architectures else TOOLS)
    if args.architectures and not args.table and args.export_python is None:
        parser.error("--architectures needs --export-python, see the top of this file")
    return args


def _cases(args: argparse.Namespace, models: list[Model]) -> Iterator[Case]:
    for model in models:
        for precision in PRECISIONS:
            for tool in args.tools.split(","):
                for toolkit in sorted(args.toolkits):
                    yield Case(model.name, precision, tool, toolkit)


def _missing(
    args: argparse.Namespace, models: list[Model], results: dict[str, Outcome]
) -> list[Case]:
    cases = list(_cases(args, models))
    return [case for case in cases if args.again or case.key not in results]


if __name__ == "__main__":
    sys.exit(main())
