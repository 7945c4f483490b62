"""Settings of the toolkit that are handed on to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from commands import Run
from graphs import random_feeds
from rockpress.cli.phrases import command_phrase
from rockpress.convert.convert import convert
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.errors import OptionError, ToolkitError
from rockpress.core.list_kinds import PlainValues
from rockpress.core.passes.prepare import prepare_model
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.quantize.quantize import quantize

pytestmark = pytest.mark.toolkit
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=true", True),
        ("a=True", True),
        ("a=2", 2),
        ("a=0.5", 0.5),
        ("a=rk=v", "rk=v"),
        ('a={"x": "cpu"}', {"x": "cpu"}),
    ],
)
def test_values_are_json_or_text(text: str, value: object) -> None:
    kind = PlainValues()
    assert kind.load(kind.read(text)) == {"a": value}


@pytest.mark.parametrize("value", [None, [None], {"x": None}, float("nan")])
def test_other_values_are_refused(value: object, small_cnn: Path) -> None:
    with pytest.raises(OptionError, match="--toolkit-config"):
        make_recipe(small_cnn, toolkit_config={"custom_string": value})


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"target_platform": "rk3566"}, "--target"),
        ({"dynamic_input": [[[1, 3, 32, 32]]]}, "--input"),
        ({"optimization_level": 2}, "--toolkit-level"),
        ({"disable_rules": ["x"]}, "leave it out"),
    ],
)
def test_what_rockpress_sets_is_refused(config: dict[str, Any], hint: str, small_cnn: Path) -> None:
    with pytest.raises(OptionError, match="is for rockpress to set") as raised:
        convert(ConversionRequest(small_cnn, None, "rk3588", config=config))
    assert raised.value.hint.endswith(hint)


def test_a_list_is_told_as_it_was_given() -> None:
    for value, text in (([1, 2], "[1, 2]"), ({"a": True}, '{"a": true}'), ("a,b", "a,b")):
        phrase = command_phrase("toolkit-config", {"op_target": value})
        assert phrase == f"--toolkit-config op_target={text}"


def test_the_cache_tells_them_apart(small_cnn: Path) -> None:
    keys = [
        ConversionRequest(small_cnn, None, "rk3588", config=config).key()
        for config in ({}, {"single_core_mode": True}, {"single_core_mode": False})
    ]
    assert keys[0] != keys[1] != keys[2]


@needs_toolkit
def test_they_reach_the_toolkit_and_the_manifest(
    small_cnn: Path, tmp_path: Path, rockpress: Run
) -> None:
    rknn = tmp_path / "m.rknn"
    words = ["convert", small_cnn, "-o", rknn, "--toolkit-config"]
    assert rockpress(*words, "single_core_mode=false").code == 0
    whole = rknn.stat().st_size
    assert rockpress(*words, "single_core_mode=true").code == 0
    assert rknn.stat().st_size < whole
    assert read_manifest(manifest_path(rknn)).config == {"single_core_mode": True}


@needs_toolkit
def test_an_unknown_one_is_refused_with_those_that_there_are(small_cnn: Path) -> None:
    with pytest.raises(ToolkitError, match="has no setting 'single_core'") as raised:
        convert(ConversionRequest(small_cnn, None, "rk3588", config={"single_core": True}))
    assert "single_core_mode" in raised.value.hint
    assert "target_platform" not in raised.value.hint
    assert len(str(raised.value).splitlines()) == 1


@needs_toolkit
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("single_core_mode", "banana", "true or false"),
        ("single_core_mode", 1, "true or false"),
        ("auto_hybrid", "yes", "true or false"),
        ("quantized_hybrid_level", True, "a whole number"),
        ("auto_hybrid_cos_thresh", "high", "a number"),
        ("compute_order", 3, "text"),
    ],
)
def test_a_value_has_the_type_of_the_default(
    name: str, value: object, expected: str, small_cnn: Path
) -> None:
    with pytest.raises(ToolkitError, match=f"takes {expected} for it") as raised:
        convert(ConversionRequest(small_cnn, None, "rk3588", config={name: value}))
    assert str(raised.value).startswith(f"--toolkit-config {name}=")
    assert len(str(raised.value).splitlines()) == 1


@needs_toolkit
def test_several_shapes_are_built_but_not_hybrid(small_cnn: Path, tmp_path: Path) -> None:
    """The file has more in it then, and computes the same in the shape that the model has."""
    samples, path = random_feeds({"x": (1, 3, 32, 32)}, 4), tmp_path / "q.onnx"
    model = prepare_model(onnx.load(small_cnn))
    quantize(model, path, tmp_path / "p.toml", samples)
    request = ConversionRequest(path, None, "rk3588", calibration=samples)
    sets = ({"x": (1, 3, 32, 32)}, {"x": (1, 3, 16, 16)})
    alone, both = (convert(replace(request, input_sets=each)) for each in ((), sets))
    assert both.quantization == "qdq"
    assert both.bytes > 1.2 * alone.bytes
    assert both.closeness.intended_db is not None and both.closeness.intended_db > 25
    with pytest.raises(OptionError, match="has several shapes, which the toolkit forgets"):
        convert(replace(request, input_sets=sets, quantization="hybrid"))
