"""All options: by stage, by verb and by name, and the names that they had before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from ...calibration_data.preprocessing import Preprocessing
from ...core.options import Option, Options, options_in
from ...core.suggestions import meant_word
from ...quantize.choices.names import SCHEMES_ELSEWHERE, scheme_names
from .bench_options import BenchOptions
from .board_options import BoardOptions
from .check_options import CheckOptions, Gates, MetricOptions
from .convert_options import ConvertOptions, ToolkitOptions
from .family_options import FamilyOptions
from .latency_options import LatencyOptions
from .predict_options import PredictOptions
from .prune_options import DistilOptions, PruneOptions
from .quantize_options import ExplainOptions, QuantizeOptions
from .run_options import RunOptions
from .sample_options import ModelOptions, SampleOptions
from .tune_options import TuneOptions

# what a recipe calls the options of each stage
GROUPS: Mapping[str, type[Options]] = {
    "samples": SampleOptions,
    "metric": MetricOptions,
    "prune": PruneOptions,
    "distil": DistilOptions,
    "quantize": QuantizeOptions,
    "explain": ExplainOptions,
    "convert": ConvertOptions,
    "family": FamilyOptions,
    "shape": ModelOptions,
    "preprocessing": Preprocessing,
    "gates": Gates,
    "latency": LatencyOptions,
    "toolkit": ToolkitOptions,
    "check": CheckOptions,
    "predict": PredictOptions,
    "board": BoardOptions,
    "bench": BenchOptions,
    "run": RunOptions,
    "tune": TuneOptions,
}
# what options stand under, in the order of need; commands put their own under the last
HEADINGS = (
    *("Samples", "Result", "Gates", "Metric", "Preprocessing", "Model"),
    *("Pruning", "Quantization", "Conversion", "Search", "Toolkit and machine", "Output"),
)
# verb -> old name -> name; "" for all verbs that have the option
_RENAMED = {"quantize": "scheme", "budget": "prune"}
# what other tools call an option -> its flag
_ELSEWHERE = {
    **dict.fromkeys(("dataset", "data", "calibration", "calib-data", "images"), "calib"),
    **dict.fromkeys(("num-samples", "calib-size", "samples"), "calib-count"),
    **dict.fromkeys(("labels", "labelled", "val", "validation", "test"), "eval"),
    **dict.fromkeys(("dtype", "precision", "quant", "quantization", "bits"), "scheme"),
    **dict.fromkeys(("platform", "target-platform", "chip", "device", "soc"), "target"),
    **dict.fromkeys(("imgsz", "img-size", "input-size", "shape"), "size"),
    **dict.fromkeys(("out", "out-dir", "save", "export-path"), "output"),
    **dict.fromkeys(("mean-values", "means"), "mean"),
    **dict.fromkeys(("std-values", "stds", "scale"), "std"),
    **dict.fromkeys(("algorithm", "quantized-algorithm", "calib-method"), "method"),
    **dict.fromkeys(("html", "out-report"), "report"),
    **dict.fromkeys(("threads", "workers", "parallel"), "jobs"),
    **dict.fromkeys(("debug", "log-level"), "verbose"),
}
_ROUTES = ("hybrid", "qdq")
# init writes the options of run into a recipe, and tune runs what has them
_LIKE = {"init": ("run",), "tune": ("run", "tune")}
# which samples judge a point the search says itself
_WITHOUT = {"tune": ("eval_part",)}


def options_of(verb: str) -> list[Option]:
    """Return the options that a verb has."""
    verbs = _LIKE.get(verb, (verb,))
    return [
        described
        for group in GROUPS.values()
        for described in options_in(group)
        if any(verb in described.verbs for verb in verbs)
        and described.name not in _WITHOUT.get(verb, ())
    ]


@cache
def homes_of(name: str) -> tuple[tuple[str, Option], ...]:
    """Return the groups that have an option of this name, with what each says of it."""
    return tuple(
        (group, described)
        for group, options in GROUPS.items()
        for described in options_in(options)
        if described.name == name
    )


def verbs_with(flag: str) -> tuple[str, ...]:
    """Return the verbs that have an option of this name on the command line."""
    name = flag.replace("-", "_")
    verbs = [verb for _, described in homes_of(name) for verb in described.verbs]
    alike = [
        verb
        for verb, others in _LIKE.items()
        if any(other in verbs for other in others) and name not in _WITHOUT.get(verb, ())
    ]
    return tuple(dict.fromkeys([*verbs, *alike]))


def meant_flag(flag: str, flags: Collection[str]) -> str:
    """Return which of some flags was meant by another tool's or a mistyped one, "" for none."""
    return meant_word(flag, flags, {name: now for name, now in _ELSEWHERE.items() if now in flags})


def defaults_of(verb: str) -> dict[str, Any]:
    """Return the values of the options for which a verb has a default of its own."""
    return {
        described.name: described.kind.read(described.defaults[verb])
        for described in options_of(verb)
        if verb in described.defaults
    }


def old_names(verb: str) -> dict[str, str]:
    """Return the names that options of a verb had before, with those that they have now."""
    names = {described.name for described in options_of(verb)}
    return {old: new for old, new in _RENAMED.items() if new in names}


def renamed(verb: str, name: str, value: Any) -> tuple[str, Any]:
    """Return name and value of an option as they are now; ``quantize`` goes by its value.

    >>> renamed("run", "quantize", "off"), renamed("convert", "quantize", "mmse")
    (('scheme', 'float16'), ('toolkit_quantizer', 'mmse'))
    """
    if name != "quantize":
        return _RENAMED.get(name, name), value
    if value == "off":
        return "scheme", "float16"
    if verb != "convert" or value in (*scheme_names(), *SCHEMES_ELSEWHERE):
        return "scheme", value
    return ("route" if value in _ROUTES else "toolkit_quantizer"), value
