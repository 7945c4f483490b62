"""What a search finds in equal time, beside chance and beside a person's grid of nine runs.

The models are the demo CNN (true accuracy on Fashion-MNIST), PP-OCR's direction classifier (true
accuracy on rendered lines, every second upside down) and EfficientNet-Lite0 (crops of photographs:
equal first class where the float model is sure); a third of the labelled samples is unseen by the
search. Searches: tune (as the command: known points first, then TPE), random (the same engine and
stages, points by chance alone), grid (no pruning, 10 and 30 % less latency, each in int8, in int8
with mixed precision and in float16, at once on all samples). With fewer than 1000 samples of the
search, as here, tune and random leave out the stage of few samples too.

    python benchmarks/tune.py --quick                 (the demo, one seed, under ten minutes)
    python benchmarks/tune.py --models demo,ppocr-cls --seconds 300
    python benchmarks/tune.py --table

Time is CPU seconds, of one worker on one thread: what else the machine does is no part of it. Each
trial is run once, in a process as the command runs it, for the first search that asks for it, and
kept with its seconds in benchmarks/searches/trials.jsonl; a search that asks for it later is
charged the same. So all searches see the same trials, and one that was interrupted goes on. The
seeds are those of the samplers. What several points share, such as a pruned model, each search pays
for once, with the first of them that it runs (benchmarks/searches/shared_work.py).

Columns: points, which came to their end within the time; hypervolume, the share of the area below
1.25 of the start's milliseconds and above 80 % that the front dominates, by the lower ends that the
search goes by, and by what the same points keep on unseen samples (mean, least and most of the
seeds); the least milliseconds, over the start's, of a point that surely keeps 98 %, and how many
searches have one. Differences are of pairs of one seed, with Student's 95 % interval.

The last line has the points of one worker and of two in half the time, by the same seconds of the
trials: what waiting for each other costs, and nothing else. By the clock:

    python benchmarks/tune.py --workers --seconds 300

Real searches of the demo, one after the other: by one worker, by two, by two,
by one, each bound to a core of its own and to one thread, each search with an empty cache.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.prunings.methods import CLS, DEMO, LITE0  # noqa: E402
from benchmarks.searches.measured_trials import MeasuredTrials, NotMeasured  # noqa: E402
from benchmarks.searches.search_arms import GRID, RANDOM, TUNE, searched  # noqa: E402
from benchmarks.searches.search_models import NAMES, search_recipe  # noqa: E402
from benchmarks.searches.search_table import Figures, figures_of, print_table  # noqa: E402
from benchmarks.searches.search_workers import compare_workers  # noqa: E402

_SECONDS = {DEMO: 300.0, CLS: 300.0, LITE0: 900.0}
_QUICK_SECONDS, _QUICK_COUNT = 60.0, 150  # of a search; labelled samples


def main() -> int:
    """Run the trials that are missing, print the tables."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # for every child
    if args.workers:
        compare_workers(args.work, args.seconds or _SECONDS[DEMO])
        return 0
    for model in args.models:
        recipe = search_recipe(model, args.work)
        if args.quick:
            recipe = recipe.with_options(eval_count=_QUICK_COUNT, calib_count=32)
        trials = MeasuredTrials(model, recipe, args.rows, args.work / model, not args.table)
        with closing(trials):
            _compare(trials, args.seeds or (1 if model == LITE0 else 3), args.seconds)
    return 0


def _compare(trials: MeasuredTrials, seeds: int, seconds: float | None) -> None:
    """Search by all ways and print the table of a model, anew after each seed."""
    time = seconds or _SECONDS[trials.model]
    figures = _figures(trials, GRID, 0, time)
    for seed in range(seeds):
        figures += [each for way in (TUNE, RANDOM) for each in _figures(trials, way, seed, time)]
        print_table(trials.model, time, figures)
    with _told_what_is_missing():
        one, two = (len(searched(trials, TUNE, 0, time / 2, workers).points) for workers in (1, 2))
        print(f"in {time / 2:g} s one worker brings {one} points to their end, two {two}")


def _figures(trials: MeasuredTrials, way: str, seed: int, seconds: float) -> list[Figures]:
    """Return the figures of a search, none where a trial of it was not measured, which is told."""
    with _told_what_is_missing():
        return [figures_of(searched(trials, way, seed, seconds), trials)]
    return []


@contextmanager
def _told_what_is_missing() -> Iterator[None]:
    try:
        yield
    except NotMeasured as error:
        print(f"{error}: not measured yet", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    work = ROOT / "build" / "searches"
    parser.add_argument("-o", "--work", type=Path, default=work, help="folder of all files")
    parser.add_argument("--rows", type=Path, help="file of the trials")
    parser.add_argument("--models", help=f"separated by commas, of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=float, help="of each search")
    parser.add_argument("--seeds", type=int, help="default 3, of EfficientNet-Lite0 1")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    parser.add_argument("--quick", action="store_true", help="the demo, one seed, few samples")
    parser.add_argument("--workers", action="store_true", help="one and two workers instead")
    args = parser.parse_args()
    committed = Path(__file__).with_name("searches") / "trials.jsonl"
    args.rows = args.rows or (args.work / "quick.jsonl" if args.quick else committed)
    args.models = (args.models or (DEMO if args.quick else ",".join(NAMES))).split(",")
    if unknown := set(args.models) - set(NAMES):
        parser.error(f"no {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    if args.quick:
        args.seconds, args.seeds = args.seconds or _QUICK_SECONDS, args.seeds or 1
        args.work = args.work / "quick"
    return args


if __name__ == "__main__":
    sys.exit(main())
