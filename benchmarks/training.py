"""Train quantized models, and compare them with the untrained ones on samples that none has seen.

    python benchmarks/training.py
    python benchmarks/training.py --model efficientnet-lite0 --scheme w4a16 --calib-count 1200

The models are the bundled one on its own images, and EfficientNet-Lite0 on crops of photographs, of
which the test's are others than the calibration's (see retentions/photographs.py). Each is
quantized by ``rockpress quantize --mixed off``, with and without ``--train distill``, and run in
ONNX Runtime with optimisations off. Everything is compared with the float model there: no labels
are looked at. Needs PyTorch; each row is printed as soon as it is measured, as Markdown.

* agree: equal first class, with the 95 % interval of a bootstrap over the samples.
* SQNR: of all test outputs together, and the mean over the samples; held out: what the report says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.quantizations.methods import LITE0  # noqa: E402
from benchmarks.quantizations.running import fixed_model  # noqa: E402
from benchmarks.retentions.subjects import SUBJECTS  # noqa: E402

DEMO = "bundled"
_HEAD = "| model | scheme | samples | | SQNR dB | mean dB | agree | 95 % | steps | s | held out |"


@dataclass(frozen=True)
class Subject:
    """A model with its samples: ``calib`` as a command takes it, ``test`` (samples, 1, ...)."""

    model: Path
    calib: list[str]
    test: Any


def main() -> int:
    """Measure each scheme without and with training."""
    args = _arguments()
    subject = _bundled() if args.model == DEMO else _lite0(args)
    rule = "|---" * (_HEAD.count("|") - 1) + "|"
    print(_HEAD, rule, sep="\n", flush=True)
    for scheme in args.scheme.split(","):
        for training in ("off", "distill"):
            print(_row(args, subject, scheme, training), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=(DEMO, LITE0), default=DEMO)
    parser.add_argument("--scheme", default="w8a8,w4a16", help="separated by commas")
    parser.add_argument("--method", default="gptq", help="gptq-refit is for w4a16 alone")
    parser.add_argument("--calib-count", type=int, default=256, metavar="N")
    parser.add_argument("--test-count", type=int, default=500, metavar="N")
    parser.add_argument("--steps", type=int, default=2000, metavar="N")
    parser.add_argument("--seconds", default="600", metavar="S", help="or off")
    parser.add_argument("-o", "--work", type=Path, default=ROOT / "build" / "quantization")
    return parser.parse_args()


def _bundled() -> Subject:
    from rockpress.calibration_data.bundled import (
        CALIBRATION,
        DEMO_PREPROCESS,
        MODEL,
        TEST,
        sample_path,
    )
    from rockpress.calibration_data.preprocessing import Preprocessing
    from rockpress.pipeline.samples.ready_model import ready_model

    model = sample_path(MODEL)
    mean, std = DEMO_PREPROCESS.mean, DEMO_PREPROCESS.std
    samples = ready_model(model).samples(sample_path(TEST), Preprocessing(mean=mean, std=std), 1000)
    test = np.stack([next(iter(feeds.values())) for feeds in samples])
    calib = ["--calib", str(sample_path(CALIBRATION)), "--mean", str(mean[0]), "--std", str(std[0])]
    return Subject(model, calib, test)


def _lite0(args: argparse.Namespace) -> Subject:
    crops = next(each for each in SUBJECTS if each.name == LITE0)
    calib = crops.samples("calib", args.calib_count, args.work)
    test = crops.samples("test", args.test_count, args.work)
    model = fixed_model(LITE0, args.work)
    return Subject(model, ["--calib", str(calib.listing)], np.load(test.together, mmap_mode="r"))


def _row(args: argparse.Namespace, subject: Subject, scheme: str, training: str) -> str:
    """Quantize, and return the row of the table."""
    figure, output = _quantized(args, subject, scheme, training)
    reference, outputs = (_scores(path, subject.test) for path in (subject.model, output))
    together, each = _decibels(reference, outputs)
    equal = reference.argmax(-1) == outputs.argmax(-1)
    low, high = _interval(equal)
    cells = [args.model, scheme, str(args.calib_count), training]
    cells += [f"{together:.2f}", f"{each:.2f}", f"{equal.mean():.3f}", f"{low:.3f} to {high:.3f}"]
    return f"| {' | '.join([*cells, *_effort(figure)])} |"


def _quantized(
    args: argparse.Namespace, subject: Subject, scheme: str, training: str
) -> tuple[Any, Path]:
    """Return what the report says of a quantization, and the model."""
    import json
    import subprocess

    args.work.mkdir(parents=True, exist_ok=True)
    output = args.work / f"{args.model}-{scheme}-{training}.onnx"
    command = [sys.executable, "-m", "rockpress", "quantize", str(subject.model), *subject.calib]
    command += ["--calib-count", str(args.calib_count), "--scheme", scheme]
    command += ["--method", args.method, "--mixed", "off", "--target", "rk3576"]
    command += ["-o", str(output), "--json", "-q"]
    if training != "off":
        command += ["--train", training, "--train-steps", str(args.steps)]
        command += ["--train-time", args.seconds]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(shown).get("training"), output


def _scores(model: Path, test: Any) -> Any:
    from rockpress.core.session import Session

    session = Session(model, optimise=False)
    (name,) = session.input_names
    return np.concatenate([session.run({name: sample})[-1].reshape(1, -1) for sample in test])


def _decibels(reference: Any, outputs: Any) -> tuple[float, float]:
    """Return the SQNR over all samples, and its mean over the samples."""
    signal, noise = (np.square(x).sum(axis=1) for x in (reference, reference - outputs))
    ratios = np.maximum(signal, 1e-30) / np.maximum(noise, 1e-30)
    return float(10 * np.log10(signal.sum() / noise.sum())), float(10 * np.log10(ratios).mean())


def _interval(equal: Any) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = [rng.choice(equal, len(equal)).mean() for _ in range(2000)]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def _effort(figure: Any) -> Sequence[str]:
    if figure is None:
        return ("", "", "")
    fate = "" if figure["kept"] else ", not kept"
    held_out = f"{figure['sqnr_before']:.2f} to {figure['sqnr_after']:.2f} dB{fate}"
    return str(figure["steps"]), f"{figure['seconds']:.0f}", held_out


if __name__ == "__main__":
    sys.exit(main())
