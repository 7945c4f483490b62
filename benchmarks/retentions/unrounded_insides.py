"""What is not rounded inside whole networks, for benchmarks/operators.py --networks.

Each network, ended before a last Softmax or Sigmoid, is quantized by one method, built at the
toolkit's level 3 and simulated. Compared are the file in ONNX Runtime as it is, the same as
candidates are compared by (with_unrounded_insides), the simulator and the float model: SQNR in dB
of the worst output, the mean over the test samples. The networks and their samples are those of
benchmarks/retention.py, in its folder.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array, Feeds
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.quantize.quantize import quantize
from rockpress.quantize.trials.held_out_samples import Logits, logits_of
from rockpress.quantize.trials.unrounded_insides import with_unrounded_insides

from ..quantizations.running import fixed_model
from ..quantizations.samples import SampleSet
from .subjects import SUBJECTS, Subject

# the small ones first
NETWORKS = (
    "orientation",
    "ppocr4-rec",
    "efficientnet-lite0",
    "ppocr6-det",
    "nudenet-320n",
    "ppocr6-rec",
)
METHOD, TARGET, TESTS = "gptq", "rk3588", 24
_COLUMNS = ("model", "as it is", "as compared", "float: file", "as compared", "simulator")


@dataclass(frozen=True)
class Outputs:
    """What a network gives for all test samples, in four forms: an array (samples, ...) each."""

    floating: Sequence[Array]
    file: Sequence[Array]
    compared: Sequence[Array]
    simulated: Sequence[Array]


def print_networks(names: Sequence[str], work: Path) -> None:
    """Print a Markdown table with a row for each network: to the simulator, then to the float."""
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    subjects = {subject.name: subject for subject in SUBJECTS}
    for subject in [subjects[name] for name in names or NETWORKS]:
        print(row_of(subject.name, _outputs(subject, work)), flush=True)


def row_of(name: str, outputs: Outputs) -> str:
    """Return a row: file and compared form to the simulator, these and that to the float model."""
    file, compared, simulated = outputs.file, outputs.compared, outputs.simulated
    figures = [mean_db(form, simulated) for form in (file, compared)]
    figures += [mean_db(outputs.floating, form) for form in (file, compared, simulated)]
    return f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |"


def mean_db(reference: Sequence[Array], candidate: Sequence[Array]) -> float:
    """Return the SQNR in dB of the worst output, the mean over the samples."""
    samples = zip(zip(*reference, strict=True), zip(*candidate, strict=True), strict=True)
    figures = [sqnr_db(*([part[None] for part in side] for side in pair)) for pair in samples]
    return math.fsum(figures) / len(figures)


def _outputs(subject: Subject, work: Path) -> Outputs:
    original = fixed_model(subject.name, work)
    # behind a Softmax that is sure the error of a sample is nothing at all, its SQNR infinite
    logits = logits_of(load_model(original))
    model = ready_model(original, ModelOptions(outputs=tuple(each.tensor for each in logits))).model
    name = model.graph.input[0].name
    samples = _feeds(subject.samples("calib", subject.calib, work), name)
    tests = _feeds(subject.samples("test", TESTS, work), name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quantize(model, path, Path(folder) / "plan.toml", samples, method=METHOD)
        request = ConversionRequest(
            path, None, TARGET, calibration=samples, simulate=tests, level=3
        )
        simulated = convert(request).outputs or []
        file = load_model(path)
    forms = model, file, with_unrounded_insides(file)
    floating, *quantized = (Session(form, keeps_scales=True).stacked(tests) for form in forms)
    pairs = zip(simulated, floating, strict=True)
    simulated = [output.reshape(like.shape) for output, like in pairs]
    return Outputs(*(_centred(logits, form) for form in (floating, *quantized, simulated)))


def _centred(logits: Sequence[Logits], outputs: Sequence[Array]) -> list[Array]:
    pairs = zip(logits, outputs, strict=True)
    return [each.without_offset(output.astype(np.float64)) for each, output in pairs]


def _feeds(samples: SampleSet, name: str) -> list[Feeds]:
    return [{name: values} for values in np.load(samples.together, mmap_mode="r")]
