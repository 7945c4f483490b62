"""The half of the agent that does what is asked for, one request after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .clock_setting import put_back, put_back_left, set_to_maximum
from .facts import board_facts
from .librknnrt import Runtime
from .measuring import ModelMeasurement
from .npu_context import NpuContext, Shapes, described
from .wire import Message, Refusal, Wire

LOG = "agent.log"
_LOG_LINES, _LOG_BYTES = 40, 1 << 14
_FIRST_REQUEST = 60.0  # seconds; then nobody is there


class Worker:
    """Serves one other end until it says bye or is gone."""

    def __init__(self, wire: Wire, folder: str) -> None:
        self._wire, self._folder, self._id = wire, folder, 0
        self._runtime: Runtime | None = None
        self._context: NpuContext | None = None
        self._model = b""
        self._way: tuple[bool, int, Shapes] = (False, 0, ())
        self._requests: dict[str, Callable[[Message, bytes], Message]] = {
            "facts": self._facts,
            "load": self._load,
            "infer": self._infer,
            "bench": self._bench,
            "layers": self._layers,
            "clocks": self._clocks,
            "bye": lambda request, content: {},
        }

    def serve(self) -> None:
        """Answer requests until the last."""
        if not self._wire.is_waiting(_FIRST_REQUEST):
            return
        while True:
            request = self._wire.request()
            if request is None:
                return
            self._answer(request)
            if request.get("do") == "bye":
                return

    def _answer(self, request: Message) -> None:
        self._id = request.get("id", 0)
        content = self._wire.content(request.get("bytes", 0))
        self._parts: list[bytes] = []
        try:
            answer = self._requests.get(request.get("do", ""), _unknown)(request, content)
            self._wire.send({"id": self._id, "ok": answer}, self._parts)
        except Refusal as refusal:
            self._refuse(refusal.fields)
        except MemoryError:
            self._refuse({"code": "memory", "text": "the memory of the board is full"})
        except OSError as error:
            self._refuse({"code": "system", "text": str(error)})

    def _refuse(self, fields: Message) -> None:
        self._wire.send({"id": self._id, "error": dict(fields, log=last_words(self._folder))})

    def _facts(self, request: Message, content: bytes) -> Message:
        clocks = put_back_left(self._folder)  # before they are read
        return dict(board_facts(), clocks_put_back=clocks["put_back"], clocks_left=clocks["left"])

    def _load(self, request: Message, content: bytes) -> Message:
        self._close()
        self._model = content
        self._runtime = self._runtime or Runtime()
        layers, mask = bool(request.get("layers")), request.get("core_mask", 0)
        self._way = layers, mask, request.get("shapes", ())
        context = NpuContext(self._runtime, content, *self._way)
        self._context = context
        api, driver = context.versions()
        return {
            "inputs": [described(attr) for attr in context.inputs],
            "outputs": [described(attr) for attr in context.outputs],
            "init_ms": context.init_ms,
            "api_version": api,
            "driver_version": driver,
            "memory": context.memory(),
        }

    def _loaded(self) -> NpuContext:
        if self._context is None:
            raise Refusal("no-model", "no model is loaded")
        return self._context

    def _infer(self, request: Message, content: bytes) -> Message:
        context, want_float = self._loaded(), request.get("outputs") == "float"
        context.give(_inputs(request, content))
        times = context.step(want_float)
        try:
            self._parts = context.contents(want_float)
        finally:
            context.release()
        outputs = [
            _output(attr, part, want_float) for attr, part in zip(context.outputs, self._parts)
        ]
        return dict(zip(("set_ms", "run_ms", "get_ms"), times), outputs=outputs)

    def _bench(self, request: Message, content: bytes) -> Message:
        self._loaded()
        self._close()  # its memory may be needed; those that are measured are made anew
        assert self._runtime is not None

        def tell(done: int, total: int) -> None:
            self._wire.send({"id": self._id, "progress": [done, total]})

        inputs, settings = _inputs(request, content), dict(request, shapes=self._way[2])
        figures = ModelMeasurement(self._runtime, self._model, inputs, settings, tell).figures()
        self._context = NpuContext(self._runtime, self._model, *self._way)
        return figures

    def _layers(self, request: Message, content: bytes) -> Message:
        context = self._loaded()
        context.give(_inputs(request, content))
        for _ in range(1 + request.get("warm_up", 3)):
            context.step(want_float=False)
            context.release()
        self._parts = [context.layer_table()]
        return {}

    def _clocks(self, request: Message, content: bytes) -> Message:
        if request.get("set"):
            return set_to_maximum(self._folder)
        put_back(self._folder)
        return {}

    def _close(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None


def _unknown(request: Message, content: bytes) -> Message:
    raise Refusal("unknown", "this agent cannot do {!r}".format(request.get("do")))


def _inputs(request: Message, content: bytes) -> list[tuple[str, str, bytes]]:
    """Return the inputs of a request, whose bytes follow each other in its content."""
    inputs, begin = [], 0
    for tensor in request["inputs"]:
        end = begin + tensor["bytes"]
        inputs.append((tensor["type"], tensor["format"], content[begin:end]))
        begin = end
    return inputs


def _output(attr: Any, part: bytes, want_float: bool) -> Message:
    output = described(attr)
    entry = {name: output[name] for name in ("shape", "type", "scale", "zero_point")}
    if want_float:
        entry.update(type="float32", scale=None, zero_point=None)
    return dict(entry, bytes=len(part))


def last_words(folder: str) -> list[str]:
    """Return the last lines that the runtime printed: the only place where reasons stand."""
    try:
        with open(os.path.join(folder, LOG), "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _LOG_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-_LOG_LINES:]
