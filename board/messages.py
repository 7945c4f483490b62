"""What the agent replies, checked value by value: it comes from somebody else's machine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np

from ..core.results.board_figures import BoardTensor, BoardTimings, LoadedModel
from ..core.validation import Malformed, require, validated
from .channel import Message
from .faults.agent_faults import BROKEN_REPLY

T = TypeVar("T")

# numpy's names for what the runtime stores; bfloat16 and int4 it has none for
DTYPES = {
    name: np.dtype(name)
    for name in "float32 float16 int8 uint8 int16 uint16 int32 uint32 int64 bool".split()
}
_LARGEST = 1 << 31  # bytes or elements of one tensor
_LONGEST_TEXT = 4096
_MOST = 1e15  # of any figure


@dataclass(frozen=True)
class ReturnedOutput:
    """An output whose ``bytes`` follow the reply, in numpy's element type ``type``."""

    shape: tuple[int, ...]
    type: str
    bytes: int
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class InferenceReply:
    """The outputs of one inference, and the ms that its three parts took."""

    outputs: tuple[ReturnedOutput, ...]
    set_ms: float
    run_ms: float
    get_ms: float


@dataclass(frozen=True)
class AgentFault:
    """Why the agent could not do it: the runtime's call and status, and the last lines it printed.

    ``code`` is one of the agent's own words, see board/agent.
    """

    code: str
    text: str
    step: str | None = None
    status: int | None = None
    signal: int | None = None
    log: tuple[str, ...] = ()


def read_reply(kind: type[T], message: Message) -> T:
    """Return the ``ok`` of a reply as a dataclass. Raises BoardError for values that cannot be."""
    try:
        reply = validated(kind, message.get("ok"))
        for name, value in _values(reply):
            _require_possible(name, value)
        if isinstance(reply, LoadedModel):
            for tensor in (*reply.inputs, *reply.outputs):
                _require_tensor(tensor)
        if isinstance(reply, InferenceReply):
            for part in reply.outputs:
                _require_output(part)
            size = sum(part.bytes for part in reply.outputs)
            require(size == message.get("bytes", 0), "bytes", message.get("bytes"), f"{size}")
        if isinstance(reply, BoardTimings):
            _require_timings(reply)
    except Malformed as error:
        raise BROKEN_REPLY.error("the board", str(error)) from error
    return reply


def _values(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield every number and text in a reply, with its name."""
    if is_dataclass(value):
        for part in fields(value):
            yield from _values(getattr(value, part.name), part.name)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield name, key
            yield from _values(entry, f"{name}.{key:.40}")
    elif isinstance(value, tuple):
        for entry in value:
            yield from _values(entry, name)
    else:
        yield name, value


# what may be below 0: temperatures, energy by a noisy sensor, a process that shrinks, zero points
_SIGNED = ("temperatures", "millijoules", "bytes_per_run", "zero_point", "status")


def _require_possible(name: str, value: Any) -> None:
    if isinstance(value, str):
        require(len(value) <= _LONGEST_TEXT, name, value, "a text that anybody would print")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least = -_MOST if name.startswith(_SIGNED) else 0
        require(least <= value <= _MOST, name, value, "a number that can be")


def _require_tensor(tensor: BoardTensor) -> None:
    key = f"the shape of {tensor.name!r:.60}"
    require(all(size > 0 for size in tensor.shape), key, tensor.shape, "sizes above 0")
    require(prod(tensor.shape) < _LARGEST, key, tensor.shape, "a shape that fits into a board")
    require(tensor.size < _LARGEST, "size", tensor.size, "bytes that fit into a board")
    scale = tensor.scale
    require(scale is None or 0 < scale < math.inf, "scale", scale, "a number above 0")


def _require_timings(timings: BoardTimings) -> None:
    times = timings.rounds
    require(all(times) and bool(times), "rounds", times, "rounds of times")
    require(all(ms > 0 for ms in timings.run_ms), "rounds", times, "times above 0")
    n = len(timings.run_ms)
    require(len(timings.npu_ms) in (0, n), "npu_ms", len(timings.npu_ms), f"{n} times or none")


def _require_output(part: ReturnedOutput) -> None:
    require(part.type in DTYPES, "type", part.type, f"one of {', '.join(DTYPES)}")
    size = prod(part.shape) * DTYPES[part.type].itemsize
    require(part.bytes == size, "bytes", part.bytes, f"the {size} of its shape")
    require(part.scale is None or part.scale > 0, "scale", part.scale, "a number above 0")
