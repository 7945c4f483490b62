"""How far an estimate may be off: the interval around a time, and the factor around a ratio.

From the errors on families that were left out of the fit, with the tables of the toolkit that the
published models were compiled with (benchmarks/latency/conformal.py).
"""

from __future__ import annotations

# The 90 % quantile, every family with the same weight.
_USUAL = 1.18
# Under 5 ms the largest of three small networks with either toolkit, too few for a quantile.
_SMALL = 1.24
_SMALL_MS = 5.0
# Seven programs say what rv1126b's NPU takes together with copies (rv1126b_fit.py). Settings that
# meet them nearly as well differ by a factor of 1.17, and its clocks were not said.
_RV1126B = 1.35
# By what factor the ratio of two times of one model may be off: "forms" are pruned and unpruned, or
# two sizes, in one number format, from published variants of one network, on the chip that needs
# most; "formats" are float16 and int8, of which six published pairs (benchmarks/latency/ratios.py)
# are too few for a quantile.
_RATIOS = {"forms": 1.08, "formats": 1.31}


def band_of(ms: float, chip: str) -> tuple[float, float]:
    """Return the milliseconds that nine of ten true times lie between, for an estimate on a chip.

    >>> low, high = band_of(10.0, "rk3588")
    >>> round(low, 1), round(high, 1)
    (8.5, 11.8)
    """
    factor = _SMALL if ms < _SMALL_MS else _USUAL
    if chip == "rv1126b":
        factor = max(factor, _RV1126B)
    return ms / factor, ms * factor


def ratio_band(kind: str) -> float:
    """Return by what factor, 1 or more, nine of ten ratios of two estimates are off at most.

    ``kind`` is "forms" for two forms of one model in the same number format, or "formats" for
    float16 against int8. Raises KeyError for any other.

    >>> ratio_band("formats") > ratio_band("forms") > 1
    True
    """
    return _RATIOS[kind]


def is_slower(ms: float, float16_ms: float, kind: str = "formats") -> bool:
    """Return whether a result is slower than the same model in float16, by more than may be error.

    ``kind`` is as for ``ratio_band``: "forms" for a result that is in float16 itself.

    >>> is_slower(4.4, 1.92), is_slower(6.79, 5.81)
    (True, False)
    """
    return ms > ratio_band(kind) * float16_ms
