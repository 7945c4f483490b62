"""A dask cluster that is already there: reached by its scheduler's address, and held to fit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.diagnostics import option
from ...core.errors import NOT_INSTALLED, ClusterError, PackageError
from ...core.validation import Malformed
from .replies import Versions, WorkerEnvironment, read_environment
from .trial_worker import environment

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 20.0
WORKER_SECONDS = 60.0
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "tornado", "asyncio")


def connect(
    address: str,
    connect_seconds: float = CONNECT_SECONDS,
    worker_seconds: float = WORKER_SECONDS,
) -> Client:
    """Return a client of the scheduler at ``address``, which has a worker.

    Raises PackageError without dask.distributed, and ClusterError where nothing answers in time or
    no worker comes.
    """
    distributed = _distributed()
    try:
        client: Client = distributed.Client(address, timeout=connect_seconds, set_as_default=False)
    except TypeError as error:  # what dask raises without any
        raise ClusterError(
            f"{option('scheduler', address)}: there are no certificates for TLS",
            "set ca-file, cert and key in dask's configuration: docs/tune-cluster.md shows it",
        ) from error
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"{option('scheduler', address)}: no scheduler answers there",
            "start one with dask scheduler, and check address, port and firewall; it has to have "
            "the same version of dask.distributed",
        ) from error
    with ExitStack() as stack:
        stack.callback(client.close, timeout=1)
        _wait_for_worker(client, address, worker_seconds)
        stack.pop_all()
    return client


def _distributed() -> Any:
    """Return the package, quiet. Raises PackageError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import distributed
    except ImportError as error:
        raise PackageError(
            f"a search on a cluster needs dask.distributed, which {NOT_INSTALLED} ({error})",
            "install rockpress with its extras: pip install 'rockpress[tune,cluster]'",
        ) from error
    for name in _LOGGERS:  # what matters of it is said by an error of ours
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


def _wait_for_worker(client: Client, address: str, seconds: float) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError as error:
        raise ClusterError(
            f"{option('scheduler', address)} has no worker, and none came within {seconds:g} s",
            f"start some, on each machine: dask worker {address}",
        ) from error


def fitting_workers(
    client: Client, python: Path | None, versions: Versions, *, trains: bool = False
) -> int:
    """Return the number of workers. Raises ClusterError for one that does not fit, by its name."""
    answers: Mapping[str, object] = client.run(environment, python, on_error="return")
    for address, answer in answers.items():
        require_fitting(address, _environment_of(address, answer), versions, trains=trains)
    return len(answers)


def require_fitting(
    worker: str, has: WorkerEnvironment, versions: Versions, *, trains: bool = False
) -> None:
    """Raise ClusterError for a worker with other versions, or one that trains without PyTorch."""
    where = f"the worker {worker} on {has.host}"
    hint = "install the same version in the environment of each worker, and start it again"
    if has.rockpress != versions.rockpress:
        text = f"{where} has rockpress {has.rockpress}, and here it is {versions.rockpress}"
        raise ClusterError(text, hint)
    if has.toolkit != versions.toolkit:
        text = f"{where} has no rknn-toolkit2 {versions.toolkit}, as there is here: {has.toolkit}"
        raise ClusterError(text, hint)
    if trains and not has.has_torch:
        raise ClusterError(
            f"{where} has no PyTorch, which points of this search need",
            "pip install 'torch<=2.4.0' in the environment of each worker, and start it again, or "
            "leave out what trains (distill)",
        )


def _environment_of(address: str, answer: object) -> WorkerEnvironment:
    hint = "install rockpress with its extra cluster in the environment of each worker"
    if isinstance(answer, BaseException):
        text = str(answer).splitlines()[0] if str(answer) else type(answer).__name__
        raise ClusterError(f"the worker {address} cannot run rockpress: {text}", hint) from answer
    try:
        return read_environment(answer)
    except Malformed as error:
        raise ClusterError(f"the worker {address} cannot run rockpress: {error}", hint) from error
