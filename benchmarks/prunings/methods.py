"""What is compared: the models, the ways to prune, and how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DEMO, CLS, LITE0 = "demo", "ppocr-cls", "efficientnet-lite0"
DET, REC = "ppocr4-det", "ppocr4-rec"
NAMES = (DEMO, CLS, LITE0, DET, REC)
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
    """One point of a curve: a model cut by a method to a share, and run at a place."""

    model: str
    method: str
    share: float
    runtime: str
    calib: int
    test: int

    @property
    def key(self) -> str:
        """Return the name of the cell in the file of results."""
        counts = f"{self.calib}+{self.test}"
        return "/".join((self.model, self.method, f"{self.share:g}", self.runtime, counts))


def cells_of(
    models: Sequence[str],
    methods: Sequence[str],
    shares: Sequence[float],
    runtimes: Sequence[str],
    counts: tuple[int, int],
) -> Iterator[Cell]:
    """Return the points of the curves, small models first; the unpruned before the pruned ones.

    >>> [cell.key for cell in cells_of(["demo"], ["rockpress"], [0.3], ["rk3588"], (8, 9))]
    ['demo/unpruned/0/rk3588/8+9', 'demo/rockpress/0.3/rk3588/8+9']
    """
    for runtime in runtimes:
        for model in (name for name in NAMES if name in models):
            yield Cell(model, WHOLE, 0.0, runtime, *counts)
            for method in (method_of.name for method_of in METHODS if method_of.name in methods):
                for share in shares:
                    yield Cell(model, method, share, runtime, *counts)
