"""Models in the form that exporters write, with what these say of them."""

from __future__ import annotations

from onnx import ModelProto


def with_metadata(model: ModelProto, **entries: str) -> ModelProto:
    """Return the model with these entries of metadata added."""
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    return model
