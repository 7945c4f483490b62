"""What a run is to do: a model, and the options of every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...calibration_data.preprocessing import Preprocessing
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.options import options_in
from ...quantize.schemes import find_scheme
from ..options.check_options import CheckOptions, Gates, MetricOptions
from ..options.convert_options import ConvertOptions, ToolkitOptions
from ..options.option_table import GROUPS, homes_of, renamed
from ..options.prune_options import DistilOptions, PruneOptions
from ..options.quantize_options import ExplainOptions, QuantizeOptions
from ..options.run_options import RunOptions
from ..options.sample_options import ModelOptions, SampleOptions

if TYPE_CHECKING:
    from ..caching.stage_cache import Cache

_NO_OPTIONS = ("model", "cache")


@dataclass(frozen=True)
class Recipe:
    """One model, and what is to be done with it, a group of options a stage.

    Stages found in ``cache`` are not run again.
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
    shape: ModelOptions = ModelOptions()
    preprocessing: Preprocessing = Preprocessing()
    gates: Gates = Gates()
    toolkit: ToolkitOptions = ToolkitOptions()
    check: CheckOptions = CheckOptions()
    cache: Cache | None = None

    def with_options(self, **options: Any) -> Recipe:
        """Return the recipe with some options changed, by their names on the command line.

        ``calib_count=64`` is what ``--calib-count 64`` is; shapes (``input``) add to what there
        is. A group may be given whole (``gates=Gates(max_size_mb=8)``), and names of earlier
        versions are taken too. Raises OptionError.

        >>> Recipe(Path("a.onnx")).with_options(size=[48, 192]).shape.size
        (48, 192)
        """
        whole = {name: value for name, value in options.items() if _is_whole(name, value)}
        recipe = replace(self, **whole)
        changes: dict[str, dict[str, Any]] = {}
        for old, setting in options.items():
            if old in whole:
                continue
            name, value = renamed("run", old, setting)
            homes = list(homes_of(name))
            if not homes:
                raise _unknown(name)
            if name == "input" and isinstance(value, Mapping):
                value = {**recipe.shape.input, **value}
            for group, _ in homes:
                changes.setdefault(group, {})[name] = value
        groups = {name: replace(getattr(recipe, name), **new) for name, new in changes.items()}
        return replace(recipe, **groups)

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


def _is_whole(name: str, value: Any) -> bool:
    return name in _NO_OPTIONS or isinstance(value, GROUPS.get(name, ()))


def make_recipe(model: Path | str, **options: Any) -> Recipe:
    """Return the recipe of a model with these options; see Recipe.with_options."""
    return Recipe(Path(model)).with_options(**options)


def _unknown(name: str) -> OptionError:
    names = [described.name for group in GROUPS.values() for described in options_in(group)]
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {option(near[0].replace('_', '-'))}?" if near else ""
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
