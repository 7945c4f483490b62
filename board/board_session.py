"""A conversation with the agent on a board: what it says of itself, a model there, its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import BoardError
from ..core.results.board_figures import (
    BoardFacts,
    BoardLayer,
    BoardOutput,
    BoardTensor,
    BoardTimings,
    LoadedModel,
)
from ..core.types import Array, Shape
from .agent_program import agent_program
from .channel import Channel, Message
from .faults.agent_faults import BROKEN_REPLY, OTHER_AGENT
from .faults.place_faults import OLD_PYTHON
from .faults.runtime_faults import refusal
from .layer_times import parse_layer_times
from .links.link import Link
from .links.opening import open_link
from .links.shell_link import OLDEST_PYTHON
from .messages import DTYPES, AgentFault, InferenceReply, read_reply

TIMEOUT = 60.0  # seconds without a sign of life
SILENCE = 60.0  # seconds without one of ours, over a link that tells it: then the board cleans up
_LARGEST_REPLY = 1 << 30
_MOST_MESSAGES = 100_000  # of progress, before a reply
_LONGEST_TABLE = 1 << 23
_FRESH_SEED = 0
# (what is done, of how many)
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class BenchSettings:
    """How ``bench`` measures: so many ``runs`` a round, ``rounds`` of them at most.

    ``contexts`` are the numbers of contexts to try, ``cores`` what the chip has. The energy of a
    run is measured for ``energy_seconds`` idle and as long at work, 0 for not at all.
    """

    runs: int = 100
    rounds: int = 10
    contexts: tuple[int, ...] = (1,)
    cores: int = 1
    drift_runs: int = 1000
    energy_seconds: float = 3.0


class BoardSession:
    """An open conversation with the agent. All methods raise BoardError."""

    def __init__(self, link: Link, timeout: float = TIMEOUT) -> None:
        self._link = link
        program = link.put(agent_program(), "agent.py")
        words = [link.python, program, f"{SILENCE:g}"]
        self._channel = Channel(link.start(words), timeout, link)
        self._requests = 0
        self._model: LoadedModel | None = None
        self._check(self._channel.greeting())

    def facts(self) -> BoardFacts:
        """Return what the board says of itself."""
        return read_reply(BoardFacts, self._ask("facts")[0])

    def load(
        self,
        path: Path,
        *,
        layers: bool = False,
        core_mask: int = 0,
        shapes: Sequence[Shape | None] = (),
    ) -> LoadedModel:
        """Load a ``.rknn`` there instead of the one before; with ``layers`` these can be timed.

        Of one that takes several shapes of its inputs, ``shapes`` are those to take, channels
        first, None for an input that has one.
        """
        way: dict[str, Any] = {"layers": layers, "core_mask": core_mask, "shapes": list(shapes)}
        reply, _ = self._ask("load", [path.read_bytes()], **way)
        self._model = read_reply(LoadedModel, reply)
        return self._model

    def infer(self, inputs: Sequence[Array], *, as_float: bool = False) -> list[BoardOutput]:
        """Run the loaded model on one sample; return its outputs as stored, or in float32.

        Inputs of four axes may be NHWC or NCHW, whichever the model's own is.
        """
        arrays = self._fitting(inputs)
        reply, content = self._ask(
            "infer",
            [array.tobytes() for array in arrays],
            largest=_LARGEST_REPLY,
            inputs=self._described(arrays),
            outputs="float" if as_float else "native",
        )
        parts = read_reply(InferenceReply, reply).outputs
        outputs, begin = [], 0
        for part in parts:
            end = begin + part.bytes
            values = np.frombuffer(content[begin:end], DTYPES[part.type]).reshape(part.shape)
            outputs.append(BoardOutput(values, part.scale, part.zero_point))
            begin = end
        return outputs

    def bench(self, settings: BenchSettings, tell: Tell = lambda done, total: None) -> BoardTimings:
        """Measure the loaded model on inputs of noise."""
        arrays = self._noise()
        reply, _ = self._ask(
            "bench",
            [array.tobytes() for array in arrays],
            tell=tell,
            inputs=self._described(arrays),
            **asdict(settings),
        )
        timings = read_reply(BoardTimings, reply)
        return timings

    def layer_times(self) -> list[BoardLayer]:
        """Return the runtime's own table of the model, which was loaded with ``layers``."""
        arrays = self._noise()
        _, content = self._ask(
            "layers",
            [array.tobytes() for array in arrays],
            largest=_LONGEST_TABLE,
            inputs=self._described(arrays),
        )
        return parse_layer_times(content.decode("utf-8", "replace"))

    def set_clocks(self) -> None:
        """Set all clocks to their maximum; they are put back at the end, whatever ends it."""
        self._ask("clocks", set=True)

    def close(self) -> None:
        """Say goodbye and close the link."""
        with suppress(BoardError):
            self._ask("bye")
        self._link.close()

    def _loaded(self) -> LoadedModel:
        if self._model is None:
            raise BoardError("no model is loaded on the board", fault="no-model")
        return self._model

    def _fitting(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the inputs in the shapes that the model has. Raises BoardError."""
        tensors = self._loaded().inputs
        if len(inputs) != len(tensors):
            raise BoardError(
                f"{len(inputs)} inputs were given, the model has {len(tensors)}", fault="input"
            )
        return [_fitted(array, tensor) for array, tensor in zip(inputs, tensors, strict=True)]

    def _noise(self) -> list[Array]:
        """Return inputs as an application would give them: pixels where the model is in int8."""
        random = np.random.default_rng(_FRESH_SEED)
        return [_noise(tensor, random) for tensor in self._loaded().inputs]

    def _described(self, arrays: Sequence[Array]) -> list[dict[str, Any]]:
        tensors = self._loaded().inputs
        return [
            {"type": str(array.dtype), "format": tensor.format, "bytes": array.nbytes}
            for array, tensor in zip(arrays, tensors, strict=True)
        ]

    def _ask(
        self,
        request: str,
        contents: Sequence[bytes] = (),
        *,
        largest: int = 0,
        tell: Tell = lambda done, total: None,
        **fields: Any,
    ) -> tuple[Message, bytes]:
        """Send a request and return its reply, told of progress meanwhile."""
        self._requests += 1
        self._channel.send({"id": self._requests, "do": request, **fields}, contents)
        for _ in range(_MOST_MESSAGES):
            message, content = self._channel.receive(largest)
            if "error" in message:
                raise self._refusal(request, read_reply(AgentFault, {"ok": message["error"]}))
            if message.get("id") == self._requests and "ok" in message:
                return message, content
            if message.get("id") == self._requests and "progress" in message:
                _tell(tell, message["progress"])
                continue
            raise BROKEN_REPLY.error(self._link.address, "it is to nothing")
        raise BROKEN_REPLY.error(self._link.address, "progress without end")

    def _refusal(self, request: str, fault: AgentFault) -> BoardError:
        """Return the error of what the agent could not do, with what the board says of itself."""
        facts = None
        if fault.code != "crash" and request != "facts":
            with suppress(BoardError):
                facts = self.facts()
        return refusal(self._link.address, fault.code, fault.text, fault.log, facts)

    def _check(self, greeting: Message) -> None:
        """Raise BoardError for an agent that is not ours, or a Python that is too old."""
        if greeting.get("agent") != 1:
            raise OTHER_AGENT.error(self._link.address, f"{greeting.get('agent')!r:.40}")
        version = str(greeting.get("python"))[:40]
        parts = version.split(".")
        if all(part.isdigit() for part in parts) and tuple(map(int, parts)) < OLDEST_PYTHON:
            raise OLD_PYTHON.error(self._link.address, f"Python {version}")


@contextmanager
def open_board(address: str, timeout: float = TIMEOUT) -> Iterator[BoardSession]:
    """Yield a session with the board at an address; its agent and folder are gone afterwards.

    ``timeout`` is how long nothing may come from it, in seconds. Raises OptionError for what is no
    address, BoardError for a board that cannot be reached.
    """
    with open_link(address, timeout) as link:
        session = BoardSession(link, timeout)
        yield session
        session.close()


def _tell(tell: Tell, progress: object) -> None:
    if isinstance(progress, list) and len(progress) == 2:
        done, total = progress
        if type(done) is int and type(total) is int:
            tell(done, total)


def _fitted(array: Array, tensor: BoardTensor) -> Array:
    """Return an input in the layout of the model. Raises BoardError for another shape.

    The runtime would take it as it is, whatever its shape.
    """
    given, own = array.shape, tensor.shape
    if given != own and len(given) == len(own) == 4:
        axes = (0, 2, 3, 1) if tensor.format == "NHWC" else (0, 3, 1, 2)
        array = array.transpose(axes)
    if array.size != prod(own) or (array.shape != own and len(given) == len(own) == 4):
        raise BoardError(
            f"input {tensor.name!r} was given in {given}, the model has {own}", fault="input"
        )
    return np.ascontiguousarray(array)


def _noise(tensor: BoardTensor, random: np.random.Generator) -> Array:
    if tensor.type in ("int8", "uint8"):
        return random.integers(0, 256, tensor.shape, dtype=np.uint8)
    dtype = DTYPES.get(tensor.type, np.dtype("float32"))
    if dtype.kind == "f":
        return random.random(tensor.shape, dtype=np.float32)
    return np.zeros(tensor.shape, dtype)
