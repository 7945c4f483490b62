"""How quantized classifiers withstand attacks, beside the models that they were made of.

Four models in int8 for rk3588, on images and labels: the bundled one, and three from packages
(benchmarks/retentions/subjects.py says what they are fed). Photographs have no labels, so what the
float model says of each stands for one. Each is attacked as ``--robustness`` does it; PGD needs
PyTorch. ``--simulate`` also builds the ``.rknn`` and shows the simulator what the search has made
against the quantized ONNX model, which stands for it in all searches.

    python benchmarks/attacks.py --models demo ppocr-cls --epsilons 4 8
    python benchmarks/attacks.py --models demo --epsilons 8 --queries 500 --simulate

Prints the tables of docs/samples.md. Needs pip's access to a package index, and, for photographs,
apt-get's and dpkg-deb, once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.quantizations.methods import CLS, LITE0  # noqa: E402
from benchmarks.quantizations.running import fixed_model  # noqa: E402
from benchmarks.retentions.subjects import SUBJECTS  # noqa: E402
from rockpress.accuracy.attacks.class_scores import score_tensor  # noqa: E402
from rockpress.accuracy.attacks.classifier_attack import ClassifierAttack  # noqa: E402
from rockpress.accuracy.attacks.square import SearchBounds  # noqa: E402
from rockpress.accuracy.metrics.metric_table import bind_metric  # noqa: E402
from rockpress.calibration_data.bundled import (  # noqa: E402
    CALIBRATION,
    DEMO_PREPROCESS,
    MODEL,
    TEST,
    sample_path,
)
from rockpress.calibration_data.preprocessing import Preprocessing  # noqa: E402
from rockpress.calibration_data.samples import Samples  # noqa: E402
from rockpress.core.graphs.graph import Graph  # noqa: E402
from rockpress.core.graphs.model import load_model  # noqa: E402
from rockpress.core.progress import SILENT  # noqa: E402
from rockpress.core.results.sample_rows import AttackRow  # noqa: E402
from rockpress.core.session import Session  # noqa: E402
from rockpress.pipeline.check import check  # noqa: E402
from rockpress.pipeline.convert_file import convert_file  # noqa: E402
from rockpress.pipeline.figures.attacks import ComparedModels, attacks_of  # noqa: E402
from rockpress.pipeline.options.check_options import CheckOptions  # noqa: E402
from rockpress.pipeline.quantize_file import quantize_file  # noqa: E402
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe  # noqa: E402
from rockpress.pipeline.samples.ready_model import ready_model  # noqa: E402

DEMO, ORIENTATION = "demo", "orientation"
_PHOTO = 127.0, 128.0
_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
# mean and std that the benchmark's samples were prepared with
_SCALES: dict[str, tuple[Any, Any]] = {
    CLS: (127.5, 127.5),
    ORIENTATION: _IMAGENET,
    LITE0: _PHOTO,
}
_HEADINGS = (
    *("model", "epsilon", "as they are", "search on each", "retention", "opened, closed (p)"),
    *("search on the original", "PGD on the original", "s"),
)


@dataclass(frozen=True)
class Subject:
    """A float model with images to quantize it by and labelled ones to attack."""

    model: Path
    calib: Path
    test: Path
    preprocess: Preprocessing

    def recipe(self, **more: Any) -> Recipe:
        """Return the recipe of its int8 form, with other options in some places."""
        return make_recipe(
            self.model,
            **{"calib": self.calib, "preprocessing": self.preprocess, "family": "off", **more},
        )


def subject_of(name: str, work: Path) -> Subject:
    """Return a model's files, made below ``work`` if not there yet."""
    if name == DEMO:
        preprocess = Preprocessing(mean=DEMO_PREPROCESS.mean, std=DEMO_PREPROCESS.std)
        return Subject(sample_path(MODEL), sample_path(CALIBRATION), sample_path(TEST), preprocess)
    model, (mean, std) = fixed_model(name, work), _SCALES[name]
    preprocess = Preprocessing(mean=_values(mean), std=_values(std))
    calib, test = (_images_of(name, role, work, model, mean, std) for role in ("calib", "test"))
    return Subject(model, calib, test, preprocess)


def _values(value: Any) -> tuple[float, ...]:
    return tuple(np.ravel(value).tolist())


def _images_of(name: str, role: str, work: Path, model: Path, mean: Any, std: Any) -> Path:
    """Return the prepared samples of the retention benchmark as the images that they were."""
    subject = next(each for each in SUBJECTS if each.name == name)
    count = subject.calib if role == "calib" else subject.test
    listing = subject.samples(role, count, work)
    prepared = np.load(listing.together)[:, 0].transpose(0, 2, 3, 1)
    images = np.rint(prepared * np.float32(std) + np.float32(mean)).astype(np.uint8)
    if subject.has_labels:
        labels = np.array([int(text) for text in listing.texts])
    else:
        labels = np.array([_class_of(model, values) for values in prepared])
    path = work / f"{name}-{role}-images.npz"
    np.savez_compressed(path, images=images, labels=labels)
    return path


def _class_of(model: Path, values: NDArray[np.float32]) -> int:
    session = Session(model)
    feeds = {session.input_names[0]: values.transpose(2, 0, 1)[np.newaxis]}
    return int(session.run(feeds)[0].argmax())


def table_row(name: str, rows: Sequence[AttackRow], epsilon: int, seconds: float) -> str:
    """Return a line of the table: both models' shares, and whose samples are lost."""
    clean, each, carried = rows[:3]
    gradients = next((row for row in rows if row.attack == "pgd"), None)
    cells = [
        name,
        str(epsilon),
        _pair(clean),
        _pair(each),
        "-"
        if each.retention is None
        else f"{each.retention:.3f} ({each.low:.3f} to {each.high:.3f})",
        f"{each.opened}, {each.closed} ({each.p_value:.2g})",
        _pair(carried),
        "-" if gradients is None else _pair(gradients),
        f"{seconds:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _interval(row: AttackRow) -> str:
    return (
        "-" if row.retention is None else f"{row.retention:.3f} ({row.low:.3f} to {row.high:.3f})"
    )


def _pair(row: AttackRow) -> str:
    return f"{row.baseline:.3f}, {row.candidate:.3f}"


def simulated(subject: Subject, quantized: Path, options: CheckOptions, folder: Path) -> str:
    """Return what the search against the quantized model leaves of it, and of the simulator."""
    evaluation = _evaluation(subject).take(options.attack_count)
    labels = evaluation.labels
    assert labels is not None
    model = load_model(quantized)
    bounds = SearchBounds(options.attack_epsilon, options.attack_queries)
    attack = ClassifierAttack(evaluation, labels.classes(), 1, bounds, seed=0)
    tensor = score_tensor(model, Graph(model).output_names[0])
    attacked = attack.by_scores(model, tensor, optimise=False)
    path = folder / "attacked.npz"
    np.savez_compressed(path, images=attacked, labels=labels.classes())
    rknn = folder / "model.rknn"
    convert_file(replace(subject.recipe(), model=quantized), rknn, pixels=True)
    values = []
    for candidate in (quantized, rknn):
        report = check(subject.recipe(eval=path), candidate)
        accuracy = report.targets[0].models[-1].accuracy
        assert accuracy is not None
        values.append(f"{accuracy.value:.3f} in {accuracy.runner}")
    return ", ".join(values)


def _evaluation(subject: Subject) -> Samples:
    ready = ready_model(subject.model)
    return ready.samples(subject.test, subject.preprocess)


def measure(name: str, args: argparse.Namespace) -> None:
    """Print the rows of one model."""
    folder = args.work / "attacked" / name
    folder.mkdir(parents=True, exist_ok=True)
    subject, quantized = subject_of(name, args.work), folder / "int8.onnx"
    if not quantized.is_file():
        quantize_file(subject.recipe(), quantized)
    ready = ready_model(subject.model)
    models = ComparedModels(ready.model, quantized, bind_metric("top1"), optimise=False)
    for epsilon in args.epsilons:
        options = CheckOptions(True, epsilon, args.queries, args.count)
        started = time.monotonic()
        rows = attacks_of(models, _evaluation(subject), options, args.seed, SILENT).rows
        print(table_row(name, rows, epsilon, time.monotonic() - started), flush=True)
        if args.simulate:
            print(f"{name}, {epsilon}: {simulated(subject, quantized, options, folder)}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [DEMO, *_SCALES]
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--epsilons", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--queries", type=int, default=CheckOptions.attack_queries)
    parser.add_argument("--count", type=int, default=CheckOptions.attack_count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--simulate", action="store_true")
    work = ROOT / "build" / "retention"
    parser.add_argument("-o", "--work", type=Path, default=work, help="folder of all other files")
    args = parser.parse_args()
    print(
        "| model | epsilon | as they are | search on each | retention | opened, closed (p) |",
        end="",
    )
    print(" search on the original | PGD on the original | s |\n|" + "---|" * 9)
    for name in args.models:
        measure(name, args)


if __name__ == "__main__":
    main()
