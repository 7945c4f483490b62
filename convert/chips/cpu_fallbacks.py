"""What the compiler's log says about operators that it gives to the CPU, and why."""

from __future__ import annotations

import re

from ...core.diagnostics import Diagnostic, option
from .layer_table import parse_layers

_SAID = re.compile(
    r"^.*?RKNN: \[[\d:.]+\] ?(?P<op>[A-Za-z]\w*)[: ](?P<why>.*fall ?back\b.*)$", re.I
)
_LIMIT = re.compile(
    r"(?P<seen>\w+\(\d+\)[^=]*= \d+), required product no larger than (?P<most>\d+)"
)
_HINTS = {
    "Transpose": f"transpose a smaller tensor, or end the model before it with {option('outputs')}",
    "AveragePool": "export it with count_include_pad=1, or put the padding into a Pad before it",
    "Softmax": "take the Softmax over channels (axis 1), or end the model before it with "
    f"{option('outputs')}",
}
_HINT = f"replace the operator, or end the model before it with {option('outputs')}"


def fallback_lines(log: str) -> tuple[Diagnostic, ...]:
    """The log's reasons for layers on the CPU, each once; those of layers that the table then
    shows on the NPU are left out, for the compiler says some before it finds another way.

    >>> log = "W RKNN: [07:00:00.000] AveragePool count_include_pad=0, fallback to cpu"
    >>> fallback_lines(log)[0].text
    'the compiler gives AveragePool to the CPU: count_include_pad=0'
    """
    table = parse_layers(log)
    slow = " ".join(layer.op for layer in table if layer.runs_on == "CPU")
    found = [match for match in map(_SAID.search, log.splitlines()) if match]
    said = dict.fromkeys((match["op"], _reason(match["why"])) for match in found)
    return tuple(
        Diagnostic(
            "cpu-fallback-layer",
            f"the compiler gives {op} to the CPU: {reason}",
            _HINTS.get(op, _HINT),
        )
        for op, reason in said
        if not table or op in slow
    )


def _reason(text: str) -> str:
    """The part of a line that says why: a limit with the size seen, or what precedes the verdict.

    >>> _reason("will fallback to CPU, because input shape has exceeded the max limit, "
    ...         "height(400) * width(64) = 25600, required product no larger than 8192!")
    'height(400) * width(64) = 25600, and the limit is 8192'
    """
    limit = _LIMIT.search(text)
    if limit:
        return f"{limit['seen']}, and the limit is {limit['most']}"
    because = text.partition("because ")[2]
    return (
        because.strip(" !.") or re.split(r",? *(?:will )?fall ?back", text, flags=re.I)[0].strip()
    )
