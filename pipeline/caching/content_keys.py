"""The key of a task in the cache: every field of it, by its content.

A stage is given a task, a frozen dataclass, and nothing else that decides its result. So its key
cannot miss what it reads: a new option of a stage is a new field, and a new key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...calibration_data.sources.open_source import open_source
from ...convert.chips.targets import Target
from ...core.files import sha256_of
from ...core.graphs.model import model_digest
from ...core.options import Options, options_in


def key_of(task: Any) -> Any:
    """Return what the result of a task depends on, as JSON values; it may have a ``key`` itself.

    Raises RockpressError when a file cannot be read.
    """
    if hasattr(task, "key"):
        return task.key()
    return {described.name: content_of(getattr(task, described.name)) for described in fields(task)}


def content_of(value: Any) -> Any:
    """Return a value by what is in it, as JSON; models and samples by their digests."""
    if isinstance(value, ModelProto):
        return hashlib.sha256(value.SerializeToString(deterministic=True)).hexdigest()
    if isinstance(value, Samples):
        return value.digest()
    if isinstance(value, Path):
        return model_digest(value)
    if isinstance(value, Target):
        return value.name
    if isinstance(value, Options):
        return {
            described.name: _plain(getattr(value, described.name))
            for described in options_in(type(value))
        }
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [content_of(part) for part in value] if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """Return an option's value as JSON; of a file that a setting names the digest too."""
    if isinstance(value, Mapping):
        return {name: [_plain(setting), _file_digest(setting)] for name, setting in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _file_digest(setting: Any) -> str | None:
    named = isinstance(setting, str) and Path(setting).is_file()
    return sha256_of(Path(setting)) if named else None


def samples_digest(samples: Path, with_names: bool = True) -> str:
    """Return the digest of all samples that a path names, with their labels and names.

    Nothing is decoded. Names, which may be paths, count for what tells them, such as a report.
    """
    source = open_source(samples)
    labels = source.labels
    digest = hashlib.sha256(f"{labels and labels.names_digest()}\n".encode())
    for index in range(len(source)):
        parts = [labels and labels.digest(index), source.content_digest(index)]
        parts += [source.name(index)] if with_names else []
        digest.update(json.dumps(parts).encode())
    return digest.hexdigest()
