"""Which ONNX operators the compiler does not run on the NPU, as a table of data.

Read off the layer tables of single-operator models built with rknn-toolkit2 2.5.0 for the chips
in ``MEASURED_ON``, on planes of an image, and on the RK3588 on tokens and vectors too, which differ
where a row says so; ``benchmarks/operators.py`` asks the installed toolkit again and shows what
differs. An operator that is not here ran on the NPU, or was folded away.
"""

from __future__ import annotations

from dataclasses import dataclass

MEASURED_WITH = "2.5.0"
MEASURED_ON = ("rk3588", "rk3566", "rv1106")
# chips that were not measured, and the one they are taken to be like
_LIKE = {"rk3568": "rk3566", "rv1103": "rv1106", "rv1103b": "rv1106", "rv1106b": "rv1106"}

BOTH = ("float16", "int8")


@dataclass(frozen=True)
class OffNpu:
    """An operator, and when it leaves the NPU; ``where`` names a condition of operator_audit.py.

    ``refused`` says that the build fails instead.
    """

    operator: str
    where: str = ""
    formats: tuple[str, ...] = BOTH
    chips: tuple[str, ...] = MEASURED_ON
    refused: bool = False


_ALWAYS = (
    *("Acos", "ArgMax", "ArgMin", "Asin", "Atan", "Ceil", "Celu", "Col2Im", "Cos", "Cosh"),
    *("Equal", "Exp", "Floor", "GatherND", "Greater", "GreaterOrEqual", "GridSample", "LRN"),
    *("Less", "LessOrEqual", "Log", "LogSoftmax", "LpPool", "MaxRoiPool"),
    *("Mean", "MeanVarianceNormalization", "Min", "Mish", "Mod", "Not", "OneHot", "RNN"),
    *("Reciprocal", "ReduceL1", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceProd"),
    *("ReduceSumSquare", "ReverseSequence", "RoiAlign", "Round", "ScatterElements", "ScatterND"),
    *("Selu", "Shrink", "Sign", "Sin", "Sinh", "Softsign", "SpaceToDepth", "Tan", "Tile", "TopK"),
    "Trilu",
)

OFF_NPU: tuple[OffNpu, ...] = (
    *(OffNpu(operator) for operator in _ALWAYS),
    OffNpu("AveragePool", "padding not counted"),
    OffNpu("Cast", "to an integer"),
    OffNpu("Div", "a constant by a tensor"),
    OffNpu("Div", "two tensors", ("int8",)),
    OffNpu("Div", "two vectors", ("float16",)),
    OffNpu("Erf", "outside a GELU"),
    OffNpu("Gather", "computed indices"),
    OffNpu("LayerNormalization", "defaults left out"),
    OffNpu("LayerNormalization", "", BOTH, ("rv1106",)),
    OffNpu("LpNormalization", "", BOTH, ("rv1106",)),
    OffNpu("Max", "with a single number"),
    OffNpu("Max", "of fewer than four axes"),
    OffNpu("Pow", "a broken exponent"),
    OffNpu("Pow", "exponent 0.5", ("int8",)),
    OffNpu("ReduceL2", "", ("int8",)),
    OffNpu("Resize", "linear, aligned corners"),
    OffNpu("Resize", "linear, broken factor"),
    OffNpu("Slice", "a step other than 1"),
    OffNpu("Softmax", "", BOTH, ("rk3566",)),
    OffNpu("Sqrt", "inside a norm", BOTH, ("rv1106",)),
    OffNpu("Sqrt", "outside a norm", ("int8",)),
    OffNpu("NonZero", refused=True),
    OffNpu("Resize", "cubic", refused=True),
)


def off_npu(chip: str, dtype: str) -> tuple[OffNpu, ...]:
    """Return the rows for a chip and a number format (float16 or int8).

    A chip that was not measured has the rows of its kind, or else of the RK3588.

    >>> any(row.operator == "Softmax" and not row.where for row in off_npu("rk3568", "int8"))
    True
    """
    like = chip if chip in MEASURED_ON else _LIKE.get(chip, MEASURED_ON[0])
    return tuple(row for row in OFF_NPU if like in row.chips and dtype in row.formats)
