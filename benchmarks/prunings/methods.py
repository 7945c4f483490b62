"""What is compared: the models, the ways to prune, and how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DEMO, CLS, LITE0 = "demo", "ppocr-cls", "efficientnet-lite0"
DET, REC = "ppocr4-det", "ppocr4-rec"
ORIENTATION, LITE1 = "orientation", "efficientnet-lite1"  # measured when they are asked for
USUAL_NAMES = (DEMO, CLS, LITE0, DET, REC)
NAMES = (*USUAL_NAMES, ORIENTATION, LITE1)
CHIP, CYCLES = "rk3588", "cycles"
SHARES = (0.1, 0.2, 0.3, 0.45, 0.6)
ORT = "onnxruntime"  # as a place: the pruned float model; else a chip, int8 in the simulator
WHOLE = "unpruned"


@dataclass(frozen=True)
class Method:
    """One curve: criterion, allocation and repair as prune.prune.Method has them.

    With ``distill`` as the repair it is least squares, and training after it.
    """

    name: str
    criterion: str
    allocation: str
    recover: str


METHODS = (
    Method("rockpress", "obs", "sensitivity", "least-squares"),
    Method("uniform", "obs", "uniform", "least-squares"),
    Method("magnitude", "magnitude", "uniform", "none"),
    Method("wanda", "wanda", "sensitivity", "least-squares"),
    Method("distill", "obs", "sensitivity", "distill"),
)
USUAL = ("rockpress", "uniform", "magnitude")


@dataclass(frozen=True)
class Cell:
    """One point of a curve: a model cut by a method to a share, and run at a place.

    The share is of the ``budget``, cycles or latency, on a ``chip``. With an ``order`` the samples
    of the calibration come in another one, drawn by that seed.
    """

    model: str
    method: str
    share: float
    runtime: str
    calib: int
    test: int
    chip: str = CHIP
    budget: str = CYCLES
    order: int = 0

    @property
    def cut(self) -> str:
        """Return how the model is cut, but for the share, where it is not as usual."""
        usual = (self.chip, self.budget, self.order) == (CHIP, CYCLES, 0)
        return "" if usual else f"{self.chip}-{self.budget}-{self.order}"

    @property
    def key(self) -> str:
        """Return the name of the cell in the file of results."""
        counts = f"{self.calib}+{self.test}"
        parts = (self.model, self.method, f"{self.share:g}", self.runtime, counts, self.cut)
        return "/".join(part for part in parts if part)


def cells_of(
    models: Sequence[str],
    methods: Sequence[str],
    shares: Sequence[float],
    runtimes: Sequence[str],
    counts: tuple[int, int],
    cuts: Sequence[tuple[str, str, int]] = ((CHIP, CYCLES, 0),),
) -> Iterator[Cell]:
    """Return the points of the curves, small models first; the unpruned before the pruned ones.

    ``cuts`` are the chips, the kinds of budget and the orders of samples; see Cell.

    >>> [cell.key for cell in cells_of(["demo"], ["rockpress"], [0.3], ["rk3588"], (8, 9))]
    ['demo/unpruned/0/rk3588/8+9', 'demo/rockpress/0.3/rk3588/8+9']
    """
    calib, test = counts
    for runtime in runtimes:
        for model in (name for name in NAMES if name in models):
            yield Cell(model, WHOLE, 0.0, runtime, *counts)
            for method in (method_of.name for method_of in METHODS if method_of.name in methods):
                for chip, budget, order in cuts:
                    for share in shares:
                        yield Cell(model, method, share, runtime, calib, test, chip, budget, order)
