"""The model that a model was made from: a digest in its metadata, which rewriting it keeps."""

from __future__ import annotations

import re

from onnx import ModelProto

from .graph import refill

_KEY = "rockpress.origin"
_DIGEST = re.compile("[0-9a-f]{64}")


def noted_origin(model: ModelProto) -> str | None:
    """Return the digest of the model that this one was made from; None where it names none.

    A value that is no SHA-256 in hex, from somebody else's file, counts as none.
    """
    noted = {entry.key: entry.value for entry in model.metadata_props}.get(_KEY, "")
    return noted if _DIGEST.fullmatch(noted) else None


def note_origin(model: ModelProto, digest: str) -> None:
    """Note the hex SHA-256 of the model that this one is made from, in place of an earlier note."""
    others = [entry for entry in model.metadata_props if entry.key != _KEY]
    refill(model.metadata_props, others)
    model.metadata_props.add(key=_KEY, value=digest)
