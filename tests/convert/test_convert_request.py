"""What a conversion is asked for, as a cache key: content counts, paths and limits do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rockpress.convert.handover import Sample
from rockpress.convert.request import ConversionRequest, ToolkitSettings
from rockpress.convert.toolkit.job import ToolkitPlan


@dataclass(frozen=True)
class Named:
    """Samples that are told by a name."""

    name: str

    def __iter__(self) -> Iterator[Sample]:
        return iter(())

    def digest(self) -> str:
        return self.name


@pytest.fixture
def request_(small_cnn: Path) -> ConversionRequest:
    return ConversionRequest(small_cnn, None, "rk3588")


def test_every_option_changes_the_key(request_: ConversionRequest, tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        *({"output": tmp_path / "a.rknn"}, {"target": "rk3576"}, {"float_model": request_.model}),
        *({"quantization": "normal"}, {"dtype": "w8a16"}, {"mean": (1.0,)}, {"std": {"x": (2.0,)}}),
        *({"calibration": Named("a")}, {"simulate": Named("a")}, {"simulate": Named("b")}),
        *({"plan": ToolkitPlan({"x": (0.0, 1.0)}, {})}, {"level": 2}, {"sparse": True}),
        *({"probe": False}, {"rknn_batch_size": 2}),
    ]
    keys = {json.dumps(replace(request_, **option).key(), sort_keys=True) for option in options}
    assert len(keys | {json.dumps(request_.key(), sort_keys=True)}) == len(options) + 1


def test_neither_paths_nor_limits_change_the_key(
    request_: ConversionRequest, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.onnx"
    shutil.copyfile(request_.model, copy)
    settings = ToolkitSettings(timeout=1, memory_limit_gb=1, processes=3)
    other = replace(request_, model=copy, target="RK3588", toolkit=settings)
    assert other.key() == request_.key()


def test_samples_without_a_digest_are_no_key(request_: ConversionRequest) -> None:
    with pytest.raises(TypeError):
        json.dumps(replace(request_, calibration=iter(())).key())
