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
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.conversions.measure import Case, Outcome, measure, outcome_document  # noqa: E402
from benchmarks.conversions.models import MODELS, QUICK, Model  # noqa: E402
from benchmarks.conversions.packages import model_file  # noqa: E402
from benchmarks.conversions.table import print_tables, regressions  # noqa: E402

PRECISIONS = ("float16", "int8")
TOOLS = ("plain", "rockpress")


def main() -> int:
    """Run what is missing, print the tables; 1 when rockpress converts less than the toolkit."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # for every child: seconds that can be compared
    chosen = [model for model in MODELS if model.name in args.models]
    file = args.work / "results.json"
    results = _read(file)
    if not args.table:
        for case in _missing(args, chosen, results):
            model = next(candidate for candidate in chosen if candidate.name == case.model)
            python = args.toolkits[case.toolkit]
            path = model_file(model, args.work)
            outcome = measure(case, model, path, python, args.timeout)
            results = _add_result(file, case, outcome)
            _print_outcome(case, outcome)
    cases = [case for case in _cases(args, chosen) if case.key in results]
    print_tables(cases, results)
    return int(bool(regressions(cases, results)))


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
    parser.add_argument("--tools", default=",".join(TOOLS), help="plain, rockpress or both")
    parser.add_argument("--again", action="store_true", help="measure anew what has a result")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for one conversion")
    args = parser.parse_args()
    args.toolkits = dict(pair.split("=", 1) for pair in args.toolkit_python)
    args.toolkits = {version: Path(path) for version, path in args.toolkits.items()}
    args.toolkits.setdefault(importlib.metadata.version("rknn-toolkit2"), Path(sys.executable))
    every = ",".join(model.name for model in MODELS)
    args.models = (args.models or (",".join(QUICK) if args.quick else every)).split(",")
    if unknown := set(args.models) - {model.name for model in MODELS}:
        parser.error(f"no model {', '.join(unknown)}; there are: {every}")
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


def _read(file: Path) -> dict[str, Outcome]:
    documents = json.loads(file.read_text()) if file.is_file() else {}
    return {key: Outcome(**document) for key, document in documents.items()}


def _add_result(file: Path, case: Case, outcome: Outcome) -> dict[str, Outcome]:
    """Add one result to the file; several runs may share it, each with its own models."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = {**_read(file), case.key: outcome}
        documents = {key: outcome_document(result) for key, result in sorted(results.items())}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(documents, indent=1))
        part.replace(file)
    return results


def _print_outcome(case: Case, outcome: Outcome) -> None:
    exact = "" if outcome.sqnr_db is None else f", {outcome.sqnr_db:.1f} dB"
    text = f"{case.key}: {outcome.status}, {outcome.seconds:.0f} s{exact} {outcome.error[-160:]}"
    print(" ".join(text.split()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
