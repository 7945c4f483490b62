"""Tests that need an ONNX Runtime which reads the operators of opset 20 to 23 itself."""

from __future__ import annotations

from importlib.metadata import version

import pytest

_INSTALLED = tuple(int(part) for part in version("onnxruntime").split(".")[:2])

# it computes what is expected; an older one also cannot fold what is in such operators
needs_newer_runtime = pytest.mark.skipif(
    _INSTALLED < (1, 23), reason="this ONNX Runtime lacks the operators to compare with"
)
