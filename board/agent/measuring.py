"""The times of a model: first run, rounds of runs, several contexts, energy, memory."""

from __future__ import annotations

import os
import threading
import time
from statistics import mean, median
from typing import Any, Callable, Sequence, Tuple

from .conditions import conditions, power
from .librknnrt import Runtime
from .npu_context import NpuContext
from .wire import Bytes, Message, Refusal

Inputs = Sequence[Tuple[str, str, Bytes]]
Tell = Callable[[int, int], None]
_WARM_UP = 5  # as in the runtime's own benchmark
_AGREE, _LAST_ROUNDS = 0.02, 3
_BETWEEN_SAMPLES = 0.25  # seconds, of the state of the board
_BETWEEN_POWER = 0.02
_MOST_SAMPLES = 200
_LEAST_DRIFT, _LONGEST_DRIFT = 50, 120.0  # runs, seconds
_DIGITS = 4  # of a time in ms


class ModelMeasurement:
    """Everything that ``bench`` measures of one model; ``tell`` is told of its progress."""

    def __init__(
        self, runtime: Runtime, model: bytes, inputs: Inputs, settings: Message, tell: Tell
    ) -> None:
        self._runtime, self._model, self._inputs = runtime, model, inputs
        self._settings, self._tell = settings, tell
        self._during: list[dict[str, Any]] = []
        self._sampled, self._done = time.monotonic(), 0
        runs = settings["runs"] * (settings["rounds"] + sum(settings["contexts"]))
        self._total = runs + settings["drift_runs"]

    def figures(self) -> dict[str, Any]:
        """Measure it all and return the figures. Raises Refusal."""
        before = conditions()
        context = self._context(0)
        try:
            first = self._run(context)[1]
            for _ in range(_WARM_UP):
                self._note_progress()
                self._run(context)
            started = conditions()
            figures = self._rounds(context)
            figures["energy"] = self._energy(context)
            figures["drift"] = self._drift(context)
        finally:
            context.close()
        figures["contexts"] = [self._rate(count) for count in self._settings["contexts"]]
        figures["is_throttled"] = _is_throttled(started, self._during)
        during = self._during[:: 1 + len(self._during) // _MOST_SAMPLES]
        figures.update(first_run_ms=first, before=before, during=during, after=conditions())
        return figures

    def _context(self, number: int) -> NpuContext:
        """Make a context; on a chip with several cores each gets one of them."""
        cores = self._settings["cores"]
        mask = 1 << number % cores if cores > 1 else 0
        shapes = self._settings.get("shapes", ())
        context = NpuContext(self._runtime, self._model, mask=mask, shapes=shapes)
        context.give(self._inputs)
        return context

    def _run(self, context: NpuContext) -> tuple[float, float, float]:
        times = context.step(want_float=False)
        context.release()
        return times

    def _note_progress(self) -> None:
        """Say how far it is, and look at the board, both now and then only."""
        if time.monotonic() - self._sampled >= _BETWEEN_SAMPLES:
            self._during.append(conditions())
            self._tell(min(self._done, self._total), self._total)
            self._sampled = time.monotonic()

    def _rounds(self, context: NpuContext) -> dict[str, Any]:
        """Time rounds of runs until the medians of the last three agree, or there are no more."""
        rounds: list[list[float]] = []
        times: list[tuple[float, float, float]] = []
        npu_times: list[float] = []
        while len(rounds) < self._settings["rounds"] and not _agree(rounds):
            this = []
            for _ in range(self._settings["runs"]):
                this.append(context.step(want_float=False))
                npu = context.npu_ms()
                npu_times += [npu] if npu is not None else []
                context.release()
                self._done += 1
                self._note_progress()
            times += this
            rounds.append([_rounded(ms) for _, ms, _ in this])
        self._done = self._settings["runs"] * self._settings["rounds"]
        return {
            "rounds": rounds,
            "npu_ms": npu_times if len(npu_times) == len(times) else [],
            "set_ms": _spread([ms for ms, _, _ in times]),
            "get_ms": _spread([ms for _, _, ms in times]),
            "agrees": _agree(rounds),
        }

    def _energy(self, context: NpuContext) -> list[dict[str, Any]]:
        """Return what a run takes by each sensor of power, the idle board taken off."""
        seconds = self._settings["energy_seconds"]
        if not power() or not seconds:
            return []
        time.sleep(min(0.5, seconds))  # what was busy before is idle again
        idle = _PowerSamples()
        time.sleep(seconds)
        idle_watts = idle.means()
        busy, count, begin = _PowerSamples(), 0, time.monotonic()
        while time.monotonic() - begin < seconds:
            self._run(context)
            count += 1
            self._note_progress()
        elapsed, busy_watts = time.monotonic() - begin, busy.means()
        return [
            {
                "sensor": sensor,
                "idle_watts": idle_watts[sensor],
                "busy_watts": watts,
                "millijoules": 1000 * (watts - idle_watts[sensor]) * elapsed / count,
            }
            for sensor, watts in busy_watts.items()
            if sensor in idle_watts
        ]

    def _drift(self, context: NpuContext) -> dict[str, Any] | None:
        """Return by how much the process grows in a run: the slope of a line through its size.

        A slow model makes fewer runs than asked for.
        """
        runs = self._settings["drift_runs"]
        if runs < 2:
            return None
        sizes, begin, done = [], time.monotonic(), 0
        while done < runs and (done < _LEAST_DRIFT or time.monotonic() - begin < _LONGEST_DRIFT):
            self._run(context)
            self._done += 1
            self._note_progress()
            if done % max(1, runs // 50) == 0:
                sizes.append((float(done), float(_resident_bytes())))
            done += 1
        return {"runs": done, "bytes_per_run": _slope(sizes)}

    def _rate(self, count: int) -> dict[str, Any]:
        """Return the frames a second of so many contexts at once, or why there are none."""
        cores = min(count, self._settings["cores"])
        contexts: list[NpuContext] = []
        try:
            for number in range(count):
                contexts.append(self._context(number))
            fps, times = self._at_once(contexts)
        except Refusal as refusal:
            return {"contexts": count, "cores": cores, "problem": refusal.fields["text"]}
        finally:
            for context in contexts:
                context.close()
        return {"contexts": count, "cores": cores, "fps": fps, "run_ms": median(times)}

    def _at_once(self, contexts: Sequence[NpuContext]) -> tuple[float, list[float]]:
        """Run all contexts at once, a thread each; return frames a second, and the ms."""
        runs, before = self._settings["runs"], self._done
        times: list[float] = []
        refusals: list[Refusal] = []
        barrier = threading.Barrier(len(contexts) + 1)

        def work(context: NpuContext) -> None:
            barrier.wait()
            try:
                for _ in range(runs):
                    times.append(self._run(context)[1])
            except Refusal as refusal:
                refusals.append(refusal)

        threads = [threading.Thread(target=work, args=(context,)) for context in contexts]
        for thread in threads:
            thread.start()
        barrier.wait()
        begin = time.perf_counter()
        for thread in threads:
            while thread.is_alive():
                thread.join(_BETWEEN_SAMPLES)
                self._done = before + len(times)
                self._note_progress()
        elapsed = time.perf_counter() - begin
        if refusals:
            raise refusals[0]
        return len(contexts) * runs / elapsed, times


class _PowerSamples:
    """A thread that reads the sensors of power from now on."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._ended.wait(_BETWEEN_POWER):
            for reading in power():
                self._samples.setdefault(reading["sensor"], []).append(reading["watts"])

    def means(self) -> dict[str, float]:
        """Stop, and return the mean in watts by sensor."""
        self._ended.set()
        self._thread.join()
        return {sensor: mean(watts) for sensor, watts in self._samples.items()}


def _agree(rounds: Sequence[Sequence[float]]) -> bool:
    medians = [median(times) for times in rounds[-_LAST_ROUNDS:]]
    return len(medians) == _LAST_ROUNDS and max(medians) <= (1 + _AGREE) * min(medians)


def _spread(times: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(times)
    last = len(ordered) - 1
    p90, p99 = (ordered[min(last, int(part * len(ordered)))] for part in (0.9, 0.99))
    return {"p50": median(ordered), "p90": p90, "p99": p99, "n": len(ordered)}


def _is_throttled(started: dict[str, Any], during: Sequence[dict[str, Any]]) -> bool | None:
    clocks = [state["npu"] and state["npu"]["hz"] for state in (started, *during)]
    if clocks[0] is None:
        return None
    return any(hz is not None and hz < clocks[0] for hz in clocks)


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:  # of this process, not of a board in a folder
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _slope(points: Sequence[tuple[float, float]]) -> float:
    x_mean, y_mean = (mean(axis) for axis in zip(*points))
    over = sum((x - x_mean) * (y - y_mean) for x, y in points)
    return float(over / sum((x - x_mean) ** 2 for x, _ in points))


def _rounded(ms: float) -> float:
    return round(ms, _DIGITS)
