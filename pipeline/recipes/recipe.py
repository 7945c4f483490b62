"""What a run is to do: a model, and the options of every stage; and how a recipe says these."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...calibration_data.preprocessing import Preprocessing
from ...convert.chips.targets import Target, find_target
from ...core.diagnostics import option, render, speaking
from ...core.errors import OptionError
from ...core.option_kinds import Choice
from ...core.options import options_in
from ...quantize.schemes import find_scheme
from ..options.bench_options import BenchOptions
from ..options.board_options import BoardOptions
from ..options.check_options import CheckOptions, Gates, MetricOptions
from ..options.convert_options import ConvertOptions, ToolkitOptions
from ..options.family_options import FamilyOptions
from ..options.latency_options import LatencyOptions
from ..options.option_table import GROUPS, homes_of, meant_flag, options_of, renamed
from ..options.predict_options import PredictOptions
from ..options.prune_options import DistilOptions, PruneOptions
from ..options.quantize_options import ExplainOptions, QuantizeOptions
from ..options.run_options import RunOptions
from ..options.sample_options import ModelOptions, SampleOptions
from ..options.tune_options import TuneOptions
from .toml_text import toml_text

if TYPE_CHECKING:
    from ..caching.stage_cache import Cache

VERB = "run"  # whose options are the keys of a recipe
_NO_OPTIONS = ("model", "cache", "explicit", "shared")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Recipe:
    """One model, and what is to be done with it, a group of options a stage.

    Stages found in ``cache`` are not run again. ``explicit`` are the names of the options that were
    set by ``with_options``, also to their default, with "table.key" for those of tables;
    ``shared`` those of them that were given to several recipes at once.
    """

    model: Path
    samples: SampleOptions = SampleOptions()
    metric: MetricOptions = MetricOptions()
    run: RunOptions = RunOptions()
    prune: PruneOptions = PruneOptions()
    distil: DistilOptions = DistilOptions()
    quantize: QuantizeOptions = QuantizeOptions()
    explain: ExplainOptions = ExplainOptions()
    convert: ConvertOptions = ConvertOptions()
    family: FamilyOptions = FamilyOptions()
    shape: ModelOptions = ModelOptions()
    preprocessing: Preprocessing = Preprocessing()
    gates: Gates = Gates()
    latency: LatencyOptions = LatencyOptions()
    toolkit: ToolkitOptions = ToolkitOptions()
    check: CheckOptions = CheckOptions()
    predict: PredictOptions = PredictOptions()
    board: BoardOptions = BoardOptions()
    bench: BenchOptions = BenchOptions()
    tune: TuneOptions = TuneOptions()
    cache: Cache | None = None
    explicit: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    shared: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def with_options(self, **options: Any) -> Recipe:
        """Return the recipe with some options changed, by their names on the command line.

        ``calib_count=64`` is what ``--calib-count 64`` is; tables (``input``, ``metric_option``,
        ``max_regression``) add to what there is. A group may be given whole
        (``gates=Gates(max_size_mb=8)``), and names of earlier versions are taken too. Raises
        OptionError, also for both names of one option.

        >>> Recipe(Path("a.onnx")).with_options(size=[48, 192]).shape.size
        (48, 192)
        """
        whole = {
            name: value
            for name, value in options.items()
            if name in _NO_OPTIONS or isinstance(value, GROUPS.get(name, ()))
        }
        recipe = replace(self, **whole)
        changes: dict[str, dict[str, Any]] = {}
        for old, setting in options.items():
            if old in whole:
                continue
            name, value = renamed("run", old, setting)
            homes = homes_of(name)
            if not homes:
                raise _unknown(name)
            for group, _ in homes:
                group_changes = changes.setdefault(group, {})
                if name in group_changes:
                    raise OptionError(f"{old!r} and another name of it are given", "leave one out")
                before = getattr(getattr(recipe, group), name)
                are_tables = isinstance(before, Mapping) and isinstance(value, Mapping)
                group_changes[name] = {**before, **value} if are_tables else value
        groups = {name: replace(getattr(recipe, name), **new) for name, new in changes.items()}
        names = {name for new in changes.values() for name in new} | _names_in(whole)
        tables = {
            f"{name}.{key}"
            for name, value in options.items()
            if isinstance(value, Mapping)
            for key in value
        }
        return replace(recipe, **groups, explicit=recipe.explicit | names | tables)

    def is_explicit(self, name: str) -> bool:
        """Return whether an option, or "table.key", was set, or differs from its default."""
        name, _, key = name.partition(".")
        homes = [(getattr(self, group), described) for group, described in homes_of(name)]
        values = [getattr(group, described.name) for group, described in homes]
        if key:
            return f"{name}.{key}" in self.explicit or any(key in value for value in values)
        defaults = [getattr(type(group)(), described.name) for group, described in homes]
        return name in self.explicit or values != defaults

    @property
    def in_int8(self) -> bool:
        """Return whether layers multiply in int8, else in float16 with weights of any width."""
        return find_scheme(self.quantize.scheme).layer_dtype == "int8"

    @property
    def quantizes(self) -> bool:
        """Return whether the number format of the result is another than the chip's float."""
        return find_scheme(self.quantize.scheme).quantizes

    @property
    def stage_cache(self) -> Cache | None:
        """Return the cache that stages are looked up and kept in, if any.

        None with a metric of the user's own: what a function computes is not known by its name.
        """
        return None if ":" in self.metric.metric else self.cache


def _names_in(whole: Mapping[str, Any]) -> set[str]:
    """Return the names of the options in groups that are given whole."""
    groups = (GROUPS[name] for name in whole if name in GROUPS)
    return {described.name for group in groups for described in options_in(group)}


def make_recipe(model: Path | str, **options: Any) -> Recipe:
    """Return the recipe of a model with these options; see Recipe.with_options."""
    return Recipe(Path(model)).with_options(**options)


def _unknown(name: str) -> OptionError:
    flags = [described.flag for group in GROUPS.values() for described in options_in(group)]
    meant = meant_flag(name, flags)
    hint = f"did you mean {option(meant)}?" if meant else ""
    return OptionError(f"there is no option {name!r}", hint)


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as plain JSON values by the names of the options, paths as they were given.

    Without what changes how long a run takes, but no result.
    """
    document: dict[str, Any] = {"model": str(recipe.model)}
    for name, group in GROUPS.items():
        for described in options_in(group):
            if "run" in described.verbs and described.name != "jobs":
                document[described.name] = plain(getattr(getattr(recipe, name), described.name))
    return document


def plain(value: Any) -> Any:
    """Return a value of an option as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def targets_of(recipe: Recipe) -> list[Target]:
    """Return the targets in their order, each once. Raises RockpressError for an unknown one."""
    return list(dict.fromkeys(find_target(name) for name in recipe.run.target))


def only_target(recipe: Recipe, verb: str, hint: str = "") -> Target:
    """Return the target of a command that makes one file. Raises OptionError for several."""
    targets = targets_of(recipe)
    if len(targets) > 1:
        raise OptionError(
            f"{verb} makes one model, for one chip; {option('target')} names "
            f"{', '.join(target.name for target in targets)}",
            hint
            or f"give one {option('target')}, or use rockpress run, which makes a model for each",
        )
    return targets[0]


def recipe_phrase(name: str, value: Any) -> str:
    """Say an option as a line of a recipe, or as its key alone.

    >>> recipe_phrase("calib", None), recipe_phrase("mixed", "cycles=+8%")
    ('calib', 'mixed = "cycles=+8%"')
    >>> recipe_phrase("input", {"x": [1, 3, 48, 320]})
    'input.x = [1, 3, 48, 320]'
    """
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        return recipe_phrase(f"{name}.{key if _BARE_KEY.fullmatch(key) else toml_text(key)}", inner)
    return name if value is None else f"{name} = {toml_text(value)}"


def key_meanings() -> dict[str, str]:
    """Return what each key of a recipe that is an option of ``run`` means."""
    with speaking(recipe_phrase):
        return {
            described.flag: render(
                # a choice is an enumeration of the schema
                described.help_for(VERB, lists_known=not isinstance(described.kind, Choice))
            )
            for described in options_of(VERB)
        }
