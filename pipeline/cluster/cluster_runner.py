"""Trials by the workers of a dask cluster; files go there once for each machine.

Dask says which worker runs a trial, and runs it again elsewhere when that is lost. A worker whose
machine lacks files says so instead of running the trial, and is sent them.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import ClusterError, ModelError
from ...core.files import staging
from ...core.unfinished import unique_name
from ...core.validation import Malformed
from ...core.version import rockpress_version
from ..recipes.recipe import Recipe
from ..search.points import Failure, Outcome
from ..search.trial_process import TrialJob
from .bundle import Bundle, Part
from .connection import WORKER_SECONDS, connect, fitting_workers, require_fitting
from .freight import Freight, freight_of
from .replies import TrialReply, Versions, read_reply
from .trial_worker import RemoteTrial, lacking, receive, remote_trial

if TYPE_CHECKING:
    from distributed import Client, Future

MOST_STARTS = 3  # of a trial whose workers were lost
_LOST = "the workers that ran it were lost, one after the other"
_LOOK_SECONDS = 5.0
_MOST_DELIVERIES = 5  # to one store, for one trial
_RESUME = "start the scheduler and its workers again; the same command goes on where it stopped"


def open_cluster(
    recipe: Recipe,
    address: str,
    toolkit: str,
    measured: Sequence[Path] = (),
    *,
    trains: bool = False,
) -> ClusterRunner:
    """Return what runs trials of a recipe by the workers of a scheduler.

    They must have this version of the ``toolkit``, and PyTorch where a point ``trains``.
    ``measured`` are the files that measured times are read from. Raises RockpressError.
    """
    versions, python = Versions(rockpress_version(), toolkit), recipe.toolkit.toolkit_python
    with ExitStack() as stack:
        client = connect(address)
        stack.callback(client.close, timeout=1)
        workers = fitting_workers(client, python, versions, trains=trains)
        freight = freight_of(recipe, measured)
        runner = ClusterRunner(client, freight, versions, python, workers, trains)
        stack.pop_all()
    return runner


@dataclass
class ClusterRunner:
    """Runs trials of a recipe by the workers of a cluster, of which there were so many.

    Raises ClusterError where the scheduler is lost, or where all workers are for ``patience``
    seconds.
    """

    client: Client
    freight: Freight
    versions: Versions
    python: Path | None
    workers: int
    trains: bool = False
    patience: float = WORKER_SECONDS
    _topic: str = field(init=False, default_factory=lambda: f"rockpress-{unique_name()}")
    _starts: Counter[str] = field(init=False, default_factory=Counter)
    _futures: dict[str, Future[Any]] = field(init=False, default_factory=dict)
    _stores: defaultdict[str, threading.Lock] = field(
        init=False, default_factory=lambda: defaultdict(threading.Lock)
    )
    _is_closed: bool = False

    def __post_init__(self) -> None:
        self.client.subscribe_topic(self._topic, self._count_start)

    def run(self, job: TrialJob, *, with_files: bool) -> Outcome:
        """Run a trial on some worker, after its machine was sent what it lacks."""
        trial = self._remote(job, with_files)
        deliveries: Counter[str] = Counter()
        while not self._is_closed:
            answer = self._answer(trial)
            if isinstance(answer, Failure):
                return answer
            try:
                reply, files = read_reply(answer, self.versions)
            except Malformed as error:
                return Failure(f"a worker answered what is no reply: {error}")
            require_fitting(reply.worker, reply.environment, self.versions, trains=self.trains)
            if not reply.lacking:
                return _with_files(job, reply, files if with_files else {})
            deliveries[reply.store] += 1
            if deliveries[reply.store] > _MOST_DELIVERIES:
                raise ClusterError(
                    f"the worker {reply.worker} does not keep the files that it is sent",
                    "look whether its cache folder is cleared meanwhile, and its disk",
                )
            self._deliver(reply)
        return Failure("the search was ended")

    def _remote(self, job: TrialJob, with_files: bool) -> RemoteTrial:
        contents = {each.contents.digest: each.contents for each in self.freight.bundles}
        places = self.freight.places
        return RemoteTrial(
            job, self.versions, self.python, contents, places, self._topic, with_files
        )

    def close(self) -> None:
        """Cancel what is at work; its workers end it, as they do when this process is gone."""
        self._is_closed = True
        with suppress(CancelledError, OSError, RuntimeError):
            if self.client.status == "running":
                self.client.cancel(list(self._futures.values()), force=True)
            self.client.close(timeout=1)

    def _answer(self, trial: RemoteTrial) -> object:
        """Return what a worker gave back, or a Failure. Raises ClusterError."""
        key = f"{self._topic}-{unique_name()}"
        try:
            future = self.client.submit(remote_trial, trial, key=key, pure=False)
            self._futures[key] = future
            error = self._waited_for(future)
            return self._failure_of(error) if error else future.result(timeout=_LOOK_SECONDS)
        except CancelledError:
            if self._starts[key] > MOST_STARTS:
                return Failure(_LOST)
            return self._scheduler_lost()
        except (OSError, RuntimeError, TimeoutError):  # the client has given up
            return self._scheduler_lost()
        finally:
            if gone := self._futures.pop(key, None):
                gone.release()

    def _waited_for(self, future: Future[Any]) -> BaseException | None:
        """Return the error of a task that has ended, None of one that is well."""
        waited = 0.0
        while True:
            try:
                error: BaseException | None = future.exception(timeout=_LOOK_SECONDS)
                return error
            except TimeoutError:
                waited = 0.0 if self.client.nthreads() else waited + _LOOK_SECONDS
            if waited > self.patience:
                raise ClusterError(
                    f"all workers of the cluster were lost, and none came back within "
                    f"{self.patience:g} s",
                    _RESUME,
                )

    def _failure_of(self, error: BaseException) -> Failure:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return Failure(_LOST)
        text = str(error).splitlines()[0] if str(error) else ""
        return Failure(f"in the worker: {type(error).__name__}: {text}"[:200])

    def _scheduler_lost(self) -> Failure:
        if self._is_closed:
            return Failure("the search was ended")
        raise ClusterError("the scheduler was lost in the middle of the search", _RESUME)

    def _count_start(self, event: object) -> None:
        """Give up a trial that is begun once too often; called by dask for each start."""
        message = event[1] if isinstance(event, tuple) and len(event) == 2 else None
        key = message.get("key") if isinstance(message, Mapping) else None
        if not isinstance(key, str) or key not in self._futures:
            return
        self._starts[key] += 1
        if self._starts[key] > MOST_STARTS:
            # not here: dask waits for this to return
            threading.Thread(target=self._futures[key].cancel, daemon=True).start()

    def _deliver(self, reply: TrialReply) -> None:
        """Send a worker the bundles that its machine lacks, one worker a machine at a time."""
        asked = {b.contents.digest: b for b in self.freight.bundles}
        with self._stores[reply.store]:
            contents = {digest: bundle.contents for digest, bundle in asked.items()}
            still = self._told_by(reply.worker, lacking, contents)
            for digest in still if isinstance(still, list) else []:
                if digest in asked and not self._sent(asked[digest], reply.worker):
                    return  # it is gone: the trial is another's

    def _sent(self, bundle: Bundle, worker: str) -> bool:
        """Return whether a worker has taken a bundle; False for one that is gone."""
        for number, part in enumerate(chain(_parts_of(bundle), [None])):
            said = self._told_by(worker, receive, bundle.contents, number, part)
            if not isinstance(said, str):
                return False
            if said:
                raise ClusterError(
                    f"the worker {worker} cannot take the files of the search: {said[:200]}",
                    "make space in its cache folder (ROCKPRESS_CACHE_DIR)",
                )
        return True

    def _told_by(self, worker: str, function: Any, *words: Any) -> object:
        """Return what a function gives in a worker, None where that is gone."""
        with suppress(OSError, TimeoutError, KeyError, ValueError):
            answers = self.client.run(function, *words, workers=[worker], on_error="return")
            return answers.get(worker) if isinstance(answers, dict) else None
        return None


def _parts_of(bundle: Bundle) -> Iterator[Part]:
    try:
        yield from bundle.parts()
    except OSError as error:
        raise ModelError(
            f"{error.filename}: cannot be read any more: {error.strerror}",
            "let the files of a search be while it goes on",
        ) from error


def _with_files(job: TrialJob, reply: TrialReply, files: Mapping[str, bytes]) -> Outcome:
    """Write the files of a trial as if it had been run here. Raises OutputError."""
    if files and reply.measure is not None:
        with staging(job.folder) as folder:
            for name, content in {**files, "recipe.toml": job.recipe.encode()}.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
    return reply.outcome
