"""Which metric a name means, with its options."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ...calibration_data.sources.labels import Labels
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.suggestions import meant_word
from ...core.types import Array
from .measurement import Scores
from .metric import Metric, MetricTable, Outputs
from .metric_names import METRICS_ELSEWHERE, metric_modules

_NUMBERS = {"int": "a whole number", "float": "a number"}
_OPTION_TYPES = re.compile(r"\b(bool|int|float|Path)\b")
# a name with a number in it, such as top5
_NUMBERED = re.compile(r"([a-z@-]+?)([1-9]\d{0,4})")


@dataclass(frozen=True)
class BoundMetric:
    """A metric, and which of the model's outputs it reads: their indices and names, () for all."""

    metric: Metric
    indices: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def read(self, outputs: Outputs) -> list[Array]:
        """Return the outputs that the metric reads, in its order."""
        return [outputs[index] for index in self.indices] if self.indices else list(outputs)

    def scores(self, outputs: Outputs, labels: Labels) -> Scores:
        """Return each sample's own score (N,). Raises SamplesError, OptionError or ModelError."""
        return self.metric.measure(self.metric.predict(self.read(outputs)), labels).scores


def find_metric(name: str, options: Mapping[str, str] | None = None) -> Metric:
    """Return the metric of a name such as top1, or ``package.module:function``, with its options.

    Raises OptionError for an unknown name or option, and for a value that an option cannot have.

    >>> find_metric("top3").name
    'top3'
    """
    return _with_options(_named_metric(name), name, options or {})


def bind_metric(
    name: str,
    options: Mapping[str, str] | None = None,
    read: Sequence[str] = (),
    outputs: Sequence[str] = (),
    input_size: tuple[int, int] | None = None,
) -> BoundMetric:
    """Return the metric for a model with these ``outputs``; it reads all, or those in ``read``.

    ``input_size`` (height, width) is that of the model's image input, where it has one. Raises
    OptionError for what ``find_metric`` refuses and for an output that the model has not.
    """
    metric = find_metric(name, options).bound(input_size)
    for output in read:
        if output not in outputs:
            raise OptionError(
                f"{option('metric-output', output)} is no output of the model",
                f"it has {', '.join(outputs)}",
            )
    return BoundMetric(metric, tuple(outputs.index(output) for output in read), tuple(read))


def settings_of(name: str) -> list[str]:
    """Return the options of a metric as KEY=VALUE, each value of those that are one of a few.

    Raises OptionError for an unknown metric.

    >>> settings_of("vad")[0].partition("=")[0] != ""
    True
    """
    settings = []
    for field_name, field in _options_of(_named_metric(name)).items():
        bools = ("yes", "no") if _type_name(field) == "bool" else ()
        values = tuple(field.metadata.get("choices", bools)) or ("",)
        settings += [f"{field_name.replace('_', '-')}={value}" for value in values]
    return settings


def with_paths_from(folder: Path, name: str, options: Mapping[str, str]) -> dict[str, str]:
    """Return a metric's options with relative paths of files made to start at ``folder``."""
    metric = _listed_metric(name)
    settable = _options_of(metric).items() if metric is not None else ()
    paths = {key for key, field in settable if _type_name(field) == "Path"}
    return {
        key: str(folder / text) if key.replace("-", "_") in paths else text
        for key, text in options.items()
    }


def _named_metric(name: str) -> Metric:
    module, _, attribute = name.partition(":")
    if module and attribute:
        from .user_metric import user_metric

        return user_metric(name)
    metric = _listed_metric(name)
    if metric is None:
        names = metric_modules()
        meant = meant_word(name, names, METRICS_ELSEWHERE)
        near = f"did you mean {option('metric', meant)}? " if meant else ""
        raise OptionError(
            f"the metric {name!r} is not known",
            f"{near}use {', '.join(names)} or package.module:function",
        )
    return metric


def _listed_metric(name: str) -> Metric | None:
    """Return the metric of a module's table, or None where no table has the name."""
    entry = _table_entry(name)
    if isinstance(entry, Metric):
        return entry
    numbered = _NUMBERED.fullmatch(name)
    make = _table_entry(f"{numbered[1]}K") if numbered else None
    return make(int(numbered[2])) if numbered and callable(make) else None


def _table_entry(name: str) -> Metric | Callable[[int], Metric] | None:
    module = metric_modules().get(name)
    if module is None:
        return None
    table: MetricTable = import_module(f".{module}", __package__).METRICS
    return table[name]


def _with_options(metric: Metric, name: str, options: Mapping[str, str]) -> Metric:
    if not options:
        return metric
    settable = _options_of(metric)
    values: dict[str, Any] = {}
    for key, text in options.items():
        field = settable.get(key.replace("-", "_"))
        if field is None:
            flags = [each.replace("_", "-") for each in settable]
            meant = meant_word(key, flags)
            near = f"did you mean {option('metric-option', {meant: text})}? " if meant else ""
            raise OptionError(
                f"{option('metric-option', {key: None})}: {name} has no such option",
                f"{near}its options: {', '.join(flags) or 'none'}",
            )
        values[field.name] = _value(_type_name(field), text, key, field.metadata)
    changed: Metric = replace(metric, **values)  # type: ignore[type-var]
    return changed


def _options_of(metric: Metric) -> dict[str, Field[Any]]:
    """Return the fields of a metric that are options: those with metadata."""
    return (
        {field.name: field for field in fields(metric) if field.metadata}
        if is_dataclass(metric)
        else {}
    )


def _type_name(field: Field[Any]) -> str:
    """Return what an option is: bool, int, float, Path or str; None beside it does not matter.

    A type is a text where annotations are postponed, and may name what only type checkers import.
    """
    text = field.type.__name__ if isinstance(field.type, type) else str(field.type)
    match = _OPTION_TYPES.search(text)
    return match[0] if match else "str"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


_CONVERTERS: Mapping[str, Callable[[str], Any]] = {"int": int, "float": _finite, "Path": Path}


def _value(kind: str, text: str, key: str, metadata: Mapping[str, Any]) -> Any:
    """Return an option's value, by the name of its type; ``metadata`` may list the choices."""
    choices = {"yes": True, "no": False} if kind == "bool" else metadata.get("choices")
    try:
        if choices is not None:
            return choices[text] if isinstance(choices, dict) else choices[choices.index(text)]
        return _CONVERTERS.get(kind, str)(text)
    except (ValueError, KeyError) as error:
        expected = " or ".join(choices) if choices else _NUMBERS[kind]
        meant = meant_word(text, choices or ())
        near = f"did you mean {option('metric-option', {key: meant})}? " if meant else ""
        raise OptionError(
            f"{option('metric-option', {key: text})}: not {expected}",
            f"{near}{metadata.get('help', '')}",
        ) from error
