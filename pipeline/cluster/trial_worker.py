"""What runs in a worker of a dask cluster: called there by name, so it is as installed there."""

from __future__ import annotations

import asyncio
import math
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from ...core.errors import RockpressError
from ...core.text_files import parse_toml
from ...core.training.pytorch import has_torch
from ...core.version import rockpress_version
from ..caching.cache_folder import CacheFolder, cache_folder
from ..search.points import Failure, Outcome
from ..search.trial_process import RECIPE_FILE, REPORT_FILE, TrialJob, run_trial
from ..tasks.installed_toolkit import require_toolkit
from .bundle import Contents, Part
from .bundle_store import BrokenBundle, BundleStore
from .freight import brought_back, moved
from .replies import Versions

if TYPE_CHECKING:
    from distributed import Worker

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class RemoteTrial:
    """A trial for another machine: its job, the bundles that it reads, and where paths are in them.

    ``topic`` is where its starts are told; ``with_files`` asks for the files that it makes. A
    worker with other ``versions``, that of the toolkit in the environment of ``python``, is not to
    run it.
    """

    job: TrialJob
    versions: Versions
    python: Path | None
    bundles: Mapping[str, Contents]
    places: Mapping[str, str]
    topic: str
    with_files: bool


@cache
def environment(python: Path | None) -> dict[str, Any]:
    """Return what a worker has: versions that are to be the coordinator's too, and PyTorch."""
    try:
        toolkit = require_toolkit(python)
    except RockpressError as error:
        toolkit = error.message
    has = {"rockpress": rockpress_version(), "toolkit": toolkit, "host": socket.gethostname()}
    return {**has, "has_torch": has_torch()}


def remote_trial(trial: RemoteTrial) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Run a trial in this worker; return a reply (see replies.py) and the files that were made.

    Where bundles are lacking the reply says which, and nothing is run, as in a worker that does not
    fit.
    """
    from distributed import get_worker

    worker = get_worker()
    store = bundle_store()
    has = environment(trial.python)
    reply = {"worker": worker.address, "store": f"{has['host']}:{store.folder}", "environment": has}
    if Versions(has["rockpress"], has["toolkit"]) != trial.versions:
        return reply, {}
    if lacks := store.lacking(trial.bundles):
        return {**reply, "lacking": lacks}, {}
    worker.log_event(trial.topic, {"key": str(worker.get_current_task())})
    roots = {digest: store.files_of(digest) for digest in trial.bundles}
    with tempfile.TemporaryDirectory(dir=worker.local_directory) as temporary:
        folder = Path(temporary) / trial.job.folder.name
        job = _here(trial, folder, roots, worker)
        outcome = _run_while_wanted(job, worker)
        if isinstance(outcome, Failure):
            return {**reply, "failure": outcome.reason}, {}
        files = _files_in(folder, list(roots.values())) if trial.with_files else {}
    return {**reply, "measure": asdict(outcome)}, files


@cache
def bundle_store() -> BundleStore:
    """Return the store of this worker: in the user's cache, or where the worker has its files."""
    from distributed import get_worker

    folder = cache_folder()
    if CacheFolder(folder).fault():
        folder = Path(get_worker().local_directory) / "rockpress"
    return BundleStore(folder)


async def lacking(bundles: Mapping[str, Contents]) -> list[str]:
    """Return which bundles this worker does not have."""
    return await asyncio.to_thread(bundle_store().lacking, bundles)


async def receive(contents: Contents, number: int, part: Part | None) -> str:
    """Take a part of a bundle, None after the last; return why it cannot be, "" where it can."""
    store = bundle_store()

    def take() -> str:
        try:
            if number == 0:
                store.begin(contents)
            if part is None:
                store.end(contents.digest)
            else:
                store.receive(contents.digest, number, part)
        except (OSError, BrokenBundle, RockpressError) as error:
            store.drop(contents.digest)
            return str(error)
        return ""

    return await asyncio.to_thread(take)


def _here(trial: RemoteTrial, folder: Path, roots: Mapping[str, Path], worker: Worker) -> TrialJob:
    """Return the job for this machine: its paths, and the threads and the memory of the worker."""
    places = {path: roots[digest] for path, digest in trial.places.items()}
    threads = worker.state.nthreads
    recipe = {**moved(parse_toml(trial.job.recipe), places), "jobs": threads}
    limits = replace(trial.job.limits, bytes=worker.memory_manager.memory_limit or math.inf)
    return replace(
        trial.job, recipe=tomli_w.dumps(recipe), folder=folder, threads=threads, limits=limits
    )


def _run_while_wanted(job: TrialJob, worker: Worker) -> Outcome:
    """Run a trial, and end it when nobody waits for it any more."""
    key = worker.get_current_task()

    def is_wanted() -> bool:
        # cancelled, as by a coordinator that is gone, or the worker is about to leave
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing" and worker.status.name == "running"

    def watch(process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if not is_wanted():
                process.terminate()
                return
            time.sleep(_LOOK_SECONDS)

    return run_trial(
        job, lambda process: threading.Thread(target=watch, args=(process,), daemon=True).start()
    )


def _files_in(folder: Path, roots: list[Path]) -> dict[str, bytes]:
    """Return the files of a trial but for its recipe, the report with the coordinator's paths."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / RECIPE_FILE
    }
    report = files[REPORT_FILE].decode()
    return {**files, REPORT_FILE: brought_back(report, roots).encode()}
