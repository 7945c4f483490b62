"""Options without an effect beside the others: they are told, not taken silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from ...core.diagnostics import Diagnostic, option
from ...quantize.schemes import find_scheme
from ..options.option_table import options_of
from ..recipes.recipe import Recipe, targets_of
from .pruning_options import budget_of, distils, prunes
from .quantization_training import is_trained


@dataclass(frozen=True)
class _Idle:
    """Options by their names in Python, when they have no effect, and why not.

    ``is_searched`` is whether a search may choose what they depend on.
    """

    names: tuple[str, ...]
    applies: Callable[[Recipe], bool]
    because: str
    is_searched: bool = True


def _has_no_16_bits(recipe: Recipe) -> bool:
    """Return whether no chip has what the scheme would leave single tensors in."""
    mixing = find_scheme(recipe.quantize.scheme).mixing
    if mixing is None or mixing.dtype:
        return False
    return not any(target.mixes_with for target in targets_of(recipe))


_RULES = (
    _Idle(
        ("method", "search_time", "search_choices", "train"),
        lambda recipe: recipe.quantize.scheme == "float16",
        f"nothing is quantized with {option('scheme', 'float16')}",
    ),
    _Idle(
        ("search_time", "search_choices"),
        lambda recipe: recipe.quantize.mixed == "off",
        f"no tensors are looked for with {option('mixed', 'off')}",
    ),
    _Idle(
        ("search_time", "search_choices"),
        lambda recipe: find_scheme(recipe.quantize.scheme).mixing is None,
        f"{option('scheme')} is a format without tensors in 16 bits beside others",
    ),
    _Idle(
        ("mixed", "search_time", "search_choices"),
        # a budget that cannot be spent is an error
        lambda recipe: recipe.quantize.mixed in ("auto", "off") and _has_no_16_bits(recipe),
        f"{option('target')} has nothing but int8",
    ),
    _Idle(
        ("train_time", "train_steps"),
        lambda recipe: not is_trained(recipe.quantize),
        f"nothing is trained without {option('train', 'distill')}",
    ),
    _Idle(
        ("rounds", "keep", "only", "criterion", "recover"),
        lambda recipe: not prunes(recipe.prune),
        f"nothing is pruned without {option('prune')}",
    ),
    _Idle(
        ("rounds",),
        lambda recipe: budget_of(recipe.prune) is None,
        f"no channels are removed without {option('prune')}",
    ),
    _Idle(
        ("recover_time", "recover_steps"),
        lambda recipe: not distils(recipe.prune),
        f"nothing is trained without {option('prune')} and {option('recover', 'distill')}",
    ),
    _Idle(
        ("calib_count",),
        lambda recipe: recipe.samples.calib is None,
        f"there are no samples of {option('calib')}",
    ),
    _Idle(
        ("eval_count", "eval_part"),
        lambda recipe: recipe.samples.eval is None,
        f"there are no samples of {option('eval')}",
        is_searched=False,
    ),
    _Idle(
        ("attack_epsilon", "attack_queries", "attack_count"),
        lambda recipe: not recipe.check.robustness,
        f"nothing is attacked without {option('robustness')}",
        is_searched=False,
    ),
    _Idle(
        ("attack_epsilon", "attack_count"),
        lambda recipe: recipe.check.attack_queries == 0,
        f"nothing is attacked with {option('attack-queries', 0)}",
        is_searched=False,
    ),
    _Idle(
        ("confidence",),
        lambda recipe: recipe.gates.min_retention is None and recipe.gates.max_latency_ms is None,
        f"it is for {option('min-retention')} and {option('max-latency-ms')}",
        is_searched=False,
    ),
)


def idle_names(recipe: Recipe) -> frozenset[str]:
    """Return the names of the options that have no effect in a recipe, given or not."""
    return frozenset(name for rule in _RULES if rule.applies(recipe) for name in rule.names)


def idle_options(given: Recipe, filled: Recipe, verb: str) -> Iterator[Diagnostic]:
    """Yield a warning for each option that was ``given`` to a verb and has no effect.

    ``filled`` is the same recipe with what the model's family sets. Each is told once, and none for
    ``tune`` that depends on what a search may choose, nor one that several recipes share.
    """
    names = {each.name for each in options_of(verb) if given.is_explicit(each.name)}
    for rule, idle in _idle(filled, names - given.shared, verb):
        yield _warning(rule, idle)


def idle_in_all(recipes: Sequence[Recipe], verb: str) -> Iterator[Diagnostic]:
    """Yield a warning for each option that recipes share and that has no effect in any of them."""
    idle = [
        {name: rule for rule, names in _idle(recipe, recipe.shared, verb) for name in names}
        for recipe in recipes
    ]
    by_rule: dict[_Idle, list[str]] = {}
    for name in sorted(frozenset().union(*(recipe.shared for recipe in recipes))):
        rules = [
            rules.get(name)
            for recipe, rules in zip(recipes, idle, strict=True)
            if name in recipe.shared
        ]
        if rules[0] is not None and None not in rules:
            by_rule.setdefault(rules[0], []).append(name)
    for rule, names in by_rule.items():
        yield _warning(rule, names)


def _idle(recipe: Recipe, names: Set[str], verb: str) -> Iterator[tuple[_Idle, list[str]]]:
    """Yield which of some options have no effect by which rule, each option once."""
    left = set(names)
    for rule in _RULES:
        idle = [name for name in rule.names if name in left]
        if idle and rule.applies(recipe) and not (verb == "tune" and rule.is_searched):
            left -= set(idle)
            yield rule, idle


def _warning(rule: _Idle, names: Sequence[str]) -> Diagnostic:
    flags = " and ".join(option(name.replace("_", "-")) for name in names)
    text = f"{flags} {'has' if len(names) == 1 else 'have'} no effect: {rule.because}"
    return Diagnostic("option-idle", text, "leave it out, or give what it needs")
