"""``rockpress.toml``: the options of ``rockpress run`` in a file, for one model or several.

A key is the long name of an option and means what the option does; paths start at the file's
folder. A table ``[models.NAME]`` is one of several models: its keys go before those above it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ...accuracy.gates import Confidence
from ...accuracy.metrics.metric_table import find_metric, with_paths_from
from ...calibration_data.preprocess import Color, Layout, Resize
from ...convert.chips.targets import find_target
from ...core.errors import ModelError, OptionError
from ...prune.results.budget import parse_budget
from .recipe import Gates, Preprocessing, Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=1)]
Divisor = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]
Figure = Literal["size", "cycles", "latency", "retention"]
Method = Literal[
    "auto",
    "gptq",
    "gptq-min-max",
    "gptq-sequential",
    "gptq-min-max-sequential",
    "gptq-equalized",
    "gptq-min-max-equalized",
    "mse",
    "min-max",
    "percentile",
    "kl",
]
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_A_NAME = "the name of a model should be letters, digits, dots, dashes and underscores"

_RENAMED = {
    "target": "targets",
    "input": "input_shapes",
    "metric_option": "metric_options",
    "metric_output": "metric_outputs",
    "memory_limit": "memory_limit_gb",
    "baseline": "last_report",
}
_PATHS = ("model", "calib", "eval", "last_report")
_PREPROCESSING = {field.name for field in fields(Preprocessing)}
_GATES = {field.name for field in fields(Gates)}


class ModelOptions(BaseModel):
    """What one model can have; None is what was not given."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"),
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    model: Name | None = None
    calib: Name | None = None
    calib_count: Count | None = None
    eval: Name | None = None
    eval_count: Count | None = None
    metric: Name | None = None
    metric_option: dict[Name, str] | None = None
    metric_output: list[Name] | None = None
    target: Name | Annotated[list[Name], Field(min_length=1)] | None = None
    input: dict[Name, list[Count]] | None = None
    outputs: list[Name] | None = None
    size: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    resize: Resize | None = None
    pad: Annotated[float, Field(ge=0, le=255)] | None = None
    color: Color | None = None
    layout: Layout | None = None
    mean: float | list[float] | None = None
    std: Divisor | list[Divisor] | None = None
    prune: Name | None = None
    max_drop: Annotated[float, Field(ge=0, le=1)] | None = None
    sparsity: Literal["2:4", "off"] | None = None
    rounds: Count | None = None
    keep: Name | list[Name] | None = None
    only: Name | list[Name] | None = None
    criterion: Literal["obs", "wanda", "magnitude"] | None = None
    recover: Literal["least-squares", "distill", "none"] | None = None
    recover_time: Seconds | None = None
    quantize: Literal["w8a8", "w8a16", "w4a16", "off"] | None = None
    method: Method | None = None
    mixed: Name | None = None
    search_time: Seconds | None = None
    min_retention: Annotated[float, Field(ge=0, le=2)] | None = None
    confidence: Confidence | None = None
    max_latency_ms: Annotated[float, Field(ge=0)] | None = None
    max_size_mb: Annotated[float, Field(ge=0)] | None = None
    baseline: Name | None = None
    max_regression: dict[Figure, Annotated[float, Field(ge=0)]] | None = None
    timeout: Seconds | None = None
    memory_limit: Annotated[float, Field(ge=0.5)] | None = None
    toolkit_python: Name | None = None
    jobs: Count | None = None
    robustness: bool | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


class RecipeFile(ModelOptions):
    """A whole file: options for all models, the output folder, and the models, if several."""

    output: Name | None = None
    models: Annotated[dict[FolderName, ModelOptions], Field(min_length=1)] | None = None


@dataclass(frozen=True)
class Job:
    """A recipe, the folder it writes to, and the name it has where the file holds several."""

    name: str | None
    recipe: Recipe
    output: Path


def read_jobs(path: Path) -> tuple[Job, ...]:
    """The recipes of a file, in its order.

    Raises ModelError when it cannot be read, OptionError for a key or a value that is not known.
    """
    file = _read(path)
    folder = path.parent
    output = folder / (file.output or "build")
    shared = _given(file)
    if file.models is None:
        _require_known(path, shared, "model", 'add model = "model.onnx"')
        return (Job(None, _recipe(shared, folder), output),)
    found = []
    for name, one in file.models.items():
        options = {**shared, **_given(one)}
        _require_known(path, options, f"models.{name}", f"add model = ... under [models.{name}]")
        found.append(Job(name, _recipe(options, folder), output / name))
    return tuple(found)


def _read(path: Path) -> RecipeFile:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror or error}", "rockpress init writes a recipe"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        hint = "mend that, or see what rockpress init writes"
        raise OptionError(f"{path} is no TOML: {error}", hint) from error
    try:
        return RecipeFile.model_validate(document)
    except ValidationError as error:
        raise _told(path, document, error.errors(include_url=False)) from error


def _told(path: Path, document: Any, errors: Sequence[ErrorDetails]) -> OptionError:
    """What is wrong first, by its key in the file."""
    # of the types that a value may have, the one that it comes nearest to complains deepest, or of
    # what is in a value of that type
    key, error = max(((_key(document, one["loc"]), one) for one in errors), key=_nearness)
    if error["type"] != "extra_forbidden":
        return OptionError(
            f"{path}: {'.'.join(key)}: {_said(error)}, not {error['input']!r}",
            _as_a_key(key, error["input"]) or "docs/recipe.md lists the keys and what they take",
        )
    near = get_close_matches(key[-1].replace("_", "-"), _KEYS, n=1, cutoff=0.5)
    return OptionError(
        f"{path}: unknown key {'.'.join(key)!r}",
        f"did you mean {near[0]}?" if near else "docs/recipe.md lists the keys",
    )


def _as_a_key(key: Sequence[str], value: Any) -> str:
    """What to write instead of the form that the value has on the command line, if it is that."""
    return ""


def _key(document: Any, location: Sequence[str | int]) -> tuple[str, ...]:
    """Where in the document; pydantic's location also names the types that it tried."""
    key = []
    for place in location:
        known = place in document if isinstance(document, dict) else isinstance(place, int)
        if known:
            key.append(str(place))
            document = document[place]
    return tuple(key)


def _nearness(found: tuple[tuple[str, ...], ErrorDetails]) -> tuple[int, bool]:
    return len(found[0]), not found[1]["type"].endswith("_type")


def _said(error: ErrorDetails) -> str:
    """What the validator says, in the words of TOML."""
    if error["type"] == "string_pattern_mismatch":
        return _A_NAME
    said = error["msg"].partition(" after validation")[0]
    said = said.replace("Dictionary", "table").replace("dictionary", "table")
    return said[0].lower() + said[1:]


_KEYS = [field.alias or name for name, field in RecipeFile.model_fields.items()]


def _given(options: ModelOptions) -> dict[str, Any]:
    return options.model_dump(exclude_unset=True, exclude={"models", "output"})


def _require_known(path: Path, options: Mapping[str, Any], where: str, hint: str) -> None:
    """Raise OptionError when no model is named, or a target, budget or metric that there is not."""
    if "model" not in options:
        raise OptionError(f"{path}: {where}: no model is named", hint)
    for name in _plain("target", options.get("target", [])):
        _require(path, "target", partial(find_target, name))
    if budget := _plain("prune", options.get("prune")):
        _require(path, "prune", partial(parse_budget, budget))
    if metric := options.get("metric"):
        _require(path, "metric", partial(find_metric, metric))


def _require(path: Path, key: str, known: Callable[[], object]) -> None:
    try:
        known()
    except OptionError as error:
        raise OptionError(
            f"{path}: {key}: {error.diagnostic.text}", error.diagnostic.hint
        ) from error


def _recipe(options: Mapping[str, Any], folder: Path) -> Recipe:
    given = {_RENAMED.get(name, name): _plain(name, value) for name, value in options.items()}
    for name in _PATHS:
        if name in given:
            given[name] = folder / given[name]
    if metric_options := given.get("metric_options"):
        metric = given.get("metric", Recipe.metric)
        given["metric_options"] = with_paths_from(folder, metric, metric_options)
    program = given.get("toolkit_python")
    if program is not None:  # a bare name is looked up on PATH
        given["toolkit_python"] = folder.absolute() / program if "/" in program else Path(program)
    preprocessing = {name: given.pop(name) for name in _PREPROCESSING & given.keys()}
    gates = {name: given.pop(name) for name in _GATES & given.keys()}
    return replace(
        Recipe(**given), preprocessing=Preprocessing(**preprocessing), gates=Gates(**gates)
    )


def _plain(name: str, value: Any) -> Any:
    """As the recipe holds it: off is what is left out, lists are tuples."""
    if name in ("prune", "sparsity"):
        return None if value == "off" else value
    if name == "quantize":
        return "float16" if value == "off" else value
    if name == "input":
        return {one: tuple(shape) for one, shape in value.items()}
    if name in ("target", "mean", "std", "keep", "only") and not isinstance(value, list):
        return (value,)
    return tuple(value) if isinstance(value, list) else value
