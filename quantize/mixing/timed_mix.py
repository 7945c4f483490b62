"""Mixed precision judged by time: stretches in 16 bits, each choice built and its table timed.

Cycles say nothing of conversions and of operators that no longer run as one. So what seems best for
its price, and is predicted to be fast enough, is built, and only what the build takes counts.
Nothing that is not faster than the model in float16 is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.progress import SILENT, Progress
from ..rendering.plan import Tradeoff
from .allowance import Allowance
from .float_regions import RegionPrices, fused_blocks, predicted_extra, regions_of
from .mixed_budget import MixedBudget, NpuTime

_MOST_BUILDS = 40
_PATIENCE = 6  # builds in a row that are no choice
_LEAST_GAIN = 0.005  # of the noise that is left: what less is expected of is not built
_LEAST_MS = 0.002  # of the int8 model's time: what a stretch is taken to cost at least
_BEYOND = 1.5  # of the time that there is: how far choices are expected to grow
_PREDICTED = 1.02  # of the limit: what is predicted to take more is not built, see docs/latency.md
_RECENT, _LEAST_TRUST = 5, 0.05  # builds by which predictions are judged, and how far
_TRIES = 3  # builds before one of them is taken, as noise does not add up

Names = tuple[str, ...]


@dataclass(frozen=True)
class TimedTrial:
    """How choices are tried: ``render`` makes the model of one, ``sqnr_db`` measures it.

    Where the budget does not bring ``least_db``, up to the float16 model's time may be spent.
    """

    render: Callable[[Names], ModelProto]
    sqnr_db: Callable[[ModelProto], float]
    time: NpuTime
    budget: MixedBudget
    allowed: Allowance  # of builds, but for the first two
    least_db: float = -math.inf


def timed_choices(
    graph: Graph,
    groups: Mapping[str, Sequence[str]],
    noise: Mapping[str, float],
    trial: TimedTrial,
    progress: Progress = SILENT,
) -> list[Tradeoff]:
    """Return the choices of tensors in 16 bits that were built and are fast enough, fastest first.

    The first leaves none in 16 bits; it is alone when the toolkit cannot build it. What is slower
    than another one and no better is left out. ``noise`` is what the quantization of each tensor
    that heads a group brings to the outputs.
    """
    blocks = fused_blocks(graph, trial.time)
    candidates = _Candidates(
        [frozenset(region) for region in regions_of(graph, blocks, groups)],
        noise,
        RegionPrices(graph, blocks, trial.time),
        predicted_extra(graph, trial.time),
    )
    search = _Search(trial, candidates, graph.model)
    search.run(progress)
    if search.widen():
        search.run(progress)
    return search.tradeoffs()


@dataclass(frozen=True)
class _Candidates:
    """Stretches of the network, and what each seems to save and to cost.

    ``extra_ms`` tells more exactly than the prices what a choice adds, but takes longer.
    """

    regions: list[frozenset[str]]
    noise: Mapping[str, float]
    prices: RegionPrices
    extra_ms: Callable[[frozenset[str]], float] | None = None

    def beyond(self, chosen: frozenset[str]) -> Iterable[tuple[frozenset[str], float, float]]:
        """Yield larger choices, with the noise that each saves and the ms that it adds."""
        paid = self.prices.ms(chosen)
        for region in self.regions:
            if saved := sum(self.noise.get(name, 0.0) for name in region - chosen):
                grown = chosen | region
                yield grown, saved, self.prices.ms(grown) - paid


class _Search:
    """What was tried so far, and what is taken: a choice grows by what gives most for its time."""

    def __init__(self, trial: TimedTrial, candidates: _Candidates, model: ModelProto) -> None:
        self.tried: dict[frozenset[str], Tradeoff | None] = {}
        self._trial, self._candidates = trial, candidates
        self._too_slow: set[frozenset[str]] = set()  # as predicted: these are not built
        self._in_vain = self._since = 0  # builds in a row that are no choice; since one was taken
        self._trust: list[float] = []  # of what was expected, what the last builds gave
        without = trial.render(())
        self._int8_ms = trial.time.built(without)
        self._chosen = Tradeoff(
            (),
            trial.sqnr_db(without),
            ms=self._int8_ms,
            latency_ratio=None if self._int8_ms is None else 1.0,
        )
        self._limit = self._below_float16 = -math.inf
        self._least_db = math.inf  # that is enough, whatever the budget says
        if self._int8_ms is not None:
            float16 = trial.time.built(model)
            self._below_float16 = math.inf if float16 is None else math.nextafter(float16, 0)
            self._limit = min(self._int8_ms * (1 + trial.budget.most), self._below_float16)
        self.tried[frozenset()] = self._chosen

    def run(self, progress: Progress) -> None:
        """Try choices as long as there is something to gain."""
        self.bisect()
        progress = progress.before(self._trial.allowed.deadline)
        while self.goes_on():
            progress.step("mixed precision", len(self.tried), _MOST_BUILDS)
            if not self.step():
                break

    def widen(self) -> bool:
        """Let choices take up to float16's time where the budget brought too little."""
        best = max(tried.sqnr_db for tried in self.tried.values() if tried is not None)
        if best >= self._trial.least_db or not self._limit < self._below_float16 < math.inf:
            return False
        self._limit, self._least_db, self._in_vain = self._below_float16, self._trial.least_db, 0
        self._too_slow.clear()
        self.tried = {names: tried for names, tried in self.tried.items() if tried is not None}
        return True

    def goes_on(self) -> bool:
        """Return whether int8 can be timed, there is time, and something to gain."""
        return (
            self._int8_ms is not None
            and len(self.tried) < _MOST_BUILDS
            and self._in_vain < _PATIENCE
            and not any(self._is_enough(tradeoff) for tradeoff in self.tried.values())
            and not self._trial.allowed.is_over
        )

    def _is_enough(self, tradeoff: Tradeoff | None) -> bool:
        if tradeoff is None:
            return False
        is_reached = self._trial.budget.is_reached(tradeoff.sqnr_db)
        return is_reached or tradeoff.sqnr_db >= self._least_db

    def bisect(self) -> None:
        """Find how far the choices that grow as expected can grow, in few builds.

        The best of them that is no more than enough is where the search goes on from.
        """
        path = self._expected() if self.goes_on() else []
        low, high = -1, len(path)  # the last that is fast enough, the first that is not
        while high - low > 1 and not self._trial.allowed.is_over:
            fitting = [index for index, (_, ms) in enumerate(path) if ms <= self._spare]
            index = fitting[-1] if (low, high) == (-1, len(path)) and fitting else (low + high) // 2
            self._try(path[index][0])
            tradeoff = self.tried[path[index][0]]
            if tradeoff is None or self._is_enough(tradeoff):
                high = index
                continue
            low = index
            if tradeoff.sqnr_db > self._chosen.sqnr_db:
                self._chosen = tradeoff
        self._in_vain = 0

    @property
    def _spare(self) -> float:
        return self._limit - (self._int8_ms or 0.0)

    def _expected(self) -> list[tuple[frozenset[str], float]]:
        """Return ever larger choices, best value first by price alone, with the ms that each adds.

        Up to somewhat more than there is, as prices may be too high.
        """
        path: list[tuple[frozenset[str], float]] = []
        chosen, spent, left = frozenset[str](), 0.0, _noise(self._chosen)
        while self._int8_ms is not None and not self._trial.allowed.is_over:
            best, most = None, 0.0
            for names, saved, ms in self._candidates.beyond(chosen):
                fits = spent + ms <= _BEYOND * self._spare and names not in self._too_slow
                if fits and saved > _LEAST_GAIN * left and self._rate(saved, ms) > most:
                    best, most = (names, saved, spent + ms), self._rate(saved, ms)
            if best is None:
                break
            if self._is_too_slow(best[0]):
                continue
            chosen, spent, left = best[0], best[2], max(left - best[1], 0.0)
            if self._candidates.extra_ms is not None:
                spent = self._candidates.extra_ms(chosen)
            path.append((chosen, spent))
        return path

    def _is_too_slow(self, names: frozenset[str]) -> bool:
        """Return whether a choice is predicted to take more than there is, and remember it."""
        extra_ms = self._candidates.extra_ms
        if extra_ms is None or self._int8_ms is None:
            return False
        if self._int8_ms + extra_ms(names) > self._limit * _PREDICTED:
            self._too_slow.add(names)
        return names in self._too_slow

    def step(self) -> bool:
        """Try what seems best, or take what is; return whether there was anything.

        What seems too slow comes last, as a price may be wrong.
        """
        chosen = frozenset(self._chosen.floating)
        least = _LEAST_GAIN * _noise(self._chosen)
        trust = max(median(self._trust[-_RECENT:] or [1.0]), _LEAST_TRUST)
        best, most, worth = None, (False, 0.0), 0.0
        for names, saved, ms in self._candidates.beyond(chosen):
            if names in self._too_slow:
                continue
            if names in self.tried:
                tradeoff = self.tried[names]
                rate = 0.0 if tradeoff is None else self._gained(tradeoff)
                rank = self._since >= _TRIES, rate
            elif saved > least:
                rate = trust * self._rate(saved, ms)
                rank = ms <= self._limit - (self._chosen.ms or 0.0), rate
            else:
                continue
            if rate > 0 and rank > most:
                best, most, worth = names, rank, rate
        if best is None:
            return False
        tradeoff = self.tried.get(best)
        if tradeoff is not None:
            self._chosen, self._in_vain, self._since = tradeoff, 0, 0
        elif not self._is_too_slow(best):
            self._since += 1
            self._try(best, worth / trust)
        return True

    def _rate(self, saved: float, ms: float) -> float:
        return saved / max(ms, _LEAST_MS * (self._int8_ms or 0.0))

    def _gained(self, tradeoff: Tradeoff) -> float:
        """Return the noise that a measured choice saves for its ms."""
        ms = (tradeoff.ms or 0.0) - (self._chosen.ms or 0.0)
        return self._rate(_noise(self._chosen) - _noise(tradeoff), ms)

    def _try(self, names: frozenset[str], expected: float | None = None) -> None:
        """Build a choice, and measure it if it is fast enough; ``expected`` is what it may give."""
        self._trial.allowed.spend()
        model = self._trial.render(tuple(sorted(names)))
        ms = self._trial.time.built(model)
        if ms is None or ms > self._limit or self._int8_ms is None:
            self.tried[names] = None
            self._in_vain += 1
            return
        tradeoff = Tradeoff(
            tuple(sorted(names)),
            self._trial.sqnr_db(model),
            ms=ms,
            latency_ratio=ms / self._int8_ms,
        )
        if expected is not None:
            self._trust.append(max(self._gained(tradeoff) / expected, 0.0))
        self.tried[names] = tradeoff

    def tradeoffs(self) -> list[Tradeoff]:
        """Return what is fast enough and better than all that is faster, from int8 alone on."""
        first, *others = (tradeoff for tradeoff in self.tried.values() if tradeoff is not None)
        better = [first]
        for choice in sorted(others, key=lambda choice: (choice.ms or 0.0, -choice.sqnr_db)):
            if choice.sqnr_db > better[-1].sqnr_db:
                better.append(choice)
        return better


def _noise(tradeoff: Tradeoff) -> float:
    """Return noise over signal."""
    return float(10 ** (-tradeoff.sqnr_db / 10))
