"""What a cut saves, beside a build of what is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors import detector, scenes
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import Conversion, convert
from rockpress.convert.latency.cut_savings import ms_behind
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import extract_until
from rockpress.core.passes.prepare import prepare_model
from rockpress.quantize.quantize import quantize

pytestmark = pytest.mark.toolkit
HEADS = ("b0", "c0", "b1", "c1")


def built(outputs: tuple[str, ...], folder: Path) -> Conversion:
    model = detector()
    if outputs:
        model = prepare_model(extract_until(model, outputs))
    paths = folder / "q.onnx", folder / "p.toml"
    quantize(model, *paths, scenes(model, 8), method="min-max", wide="float16")
    return convert(ConversionRequest(paths[0], None, "rk3588", probe=False))


def test_it_is_what_a_build_of_the_rest_has_less(tmp_path: Path) -> None:
    whole, rest = built((), tmp_path), built(HEADS, tmp_path)
    chip = find_target("rk3588")
    assert whole.latency is not None and rest.latency is not None
    assert whole.latency.ms is not None and rest.latency.ms is not None
    saved = ms_behind(whole.layers, chip, detector(), HEADS)
    assert saved == pytest.approx(whole.latency.ms - rest.latency.ms, rel=0.1)
    assert ms_behind(whole.layers, chip, detector(), ["y"]) == 0
    assert ms_behind(whole.layers, find_target("rv1106"), detector(), HEADS) is None
