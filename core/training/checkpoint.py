"""The state of a training on disk: what was written whole is read back, anything else is not."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto

from ..errors import OutputError
from ..files import replacing
from .schedule import Schedule

_IDENTITY = "identity"
_DIGEST_BYTES = hashlib.sha256().digest_size
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A file for the state of one training; a state of another ``identity`` is not read.

    It is PyTorch's format behind its SHA-256, since torch.load() does not see values that changed.
    """

    path: Path
    identity: str

    def write(self, state: Mapping[str, Any]) -> None:
        """Write a state of plain values and tensors, instead of the one before.

        Where it cannot be written, as the disk is full, the one before stays: that is no reason to
        end a training.
        """
        import torch

        with (
            suppress(OutputError, RuntimeError),  # torch.save() makes a RuntimeError of an OSError
            replacing(self.path, is_result=False) as part,
            part.open("wb+") as file,
        ):
            file.write(bytes(_DIGEST_BYTES))
            torch.save({**state, _IDENTITY: self.identity}, file)
            file.seek(_DIGEST_BYTES)
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            file.seek(0)
            file.write(digest.digest())

    def read(self) -> dict[str, Any] | None:
        """Return the state, None where there is none, it is damaged or that of another training."""
        import torch

        try:
            with self.path.open("rb") as file:
                digest, archive = file.read(_DIGEST_BYTES), file.read()
        except OSError:
            return None
        if hashlib.sha256(archive).digest() != digest:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(archive), weights_only=True)
        return state if state.pop(_IDENTITY) == self.identity else None


def checkpoint_in(path: Path | None, schedule: Schedule, *models: ModelProto) -> Checkpoint | None:
    """Return the checkpoint at a path, if there is one, of a training that begins with these.

    Its identity is a digest of the ``schedule`` and of what is in the ``models``, in their order;
    that the samples are the same is the caller's to know.
    """
    if path is None:
        return None
    digest = hashlib.sha256(repr(schedule).encode())
    for model in models:
        digest.update(hashlib.sha256(model.SerializeToString(deterministic=True)).digest())
    return Checkpoint(path, digest.hexdigest())
