"""What is read from a ``.rknn`` itself: files really built, and files that somebody spoiled."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rknn_files import DOCUMENT, rknn_bytes
from rockpress.convert.convert import convert
from rockpress.convert.lowering.scale_probe import one_convolution
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.rknn_file import RknnTensor, is_cut_short, read_rknn
from rockpress.core.errors import ModelError, RockpressError

TARGETS = ("rk3588", "rk3566", "rv1106", "rk3576")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The path of the quantized convolution, built for a chip when it is first asked for."""
    folder = tmp_path_factory.mktemp("built")
    onnx.save(one_convolution(), folder / "conv.onnx")

    def build(target: str) -> Path:
        path = folder / f"{target}.rknn"
        if not path.is_file():
            convert(ConversionRequest(folder / "conv.onnx", path, target))
        return path

    return build


@pytest.mark.parametrize("target", TARGETS)
def test_facts_of_a_built_file(target: str, built: Callable[[str], Path]) -> None:
    path = built(target)
    facts = read_rknn(path)
    version = toolkit_version()
    assert (facts.target, facts.toolkit, facts.framework) == (target, version, "ONNX")
    assert facts.compiler is not None
    assert facts.compiler.startswith(f"{version} (")
    assert facts.format == (0x1004 if target == "rv1106" else 6)
    assert facts.bytes == path.stat().st_size > facts.model_bytes > 0.8 * facts.bytes
    (x,), (y,) = facts.inputs, facts.outputs
    assert (x.name, x.shape, x.dtype, x.layout) == ("x", (1, 8, 16, 16), "int8", "NCHW")
    assert x.scale == pytest.approx(0.03)
    assert x.zero_point == -5
    assert (y.name, y.shape, y.dtype) == ("y", (1, 16, 16, 16), "int8")
    assert y.scale == pytest.approx(0.04)
    assert y.zero_point == 3
    assert (x.mean, x.std) == (None, None)
    assert not is_cut_short(path)


def test_facts_of_a_float16_file_with_mean_and_std(small_cnn: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.rknn"
    convert(ConversionRequest(small_cnn, path, "rk3566", mean=(127.5,), std=(128.0,)))
    (x,), (y,) = read_rknn(path).inputs, read_rknn(path).outputs
    assert (x.name, x.shape, x.dtype) == ("x", (1, 3, 32, 32), "float32")
    assert (x.mean, x.std) == ((127.5,) * 3, (128.0,) * 3)
    assert y == RknnTensor("logits", (1, 10), "float32")


# Files in the same layout, that no toolkit made


def test_inputs_come_in_the_order_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "m.rknn").write_bytes(rknn_bytes())
    facts = read_rknn(tmp_path / "m.rknn")
    a, b = facts.inputs
    assert a == RknnTensor(
        "a", (1, 3, 8, 8), "int8", "NCHW", 0.5, -3, (1.0, 2.0, 3.5), (1.0, 1.0, 1.0)
    )
    assert b == RknnTensor("b", (1, 2), "int8")
    # a float output has no scale, whatever the tables inside say
    assert facts.outputs == (RknnTensor("y", (1, 4, 8, 8), "float32", "NCHW"),)
    assert facts.compiler == "2.5.0 (abc@2026-01-02T03:04:05)"


@pytest.mark.parametrize(
    "described",
    ["not a literal(", {"attrs": 5}, {"attrs": {"a": 1}, "quant_tab": [2]}, "{" * 5000],
    ids=["call", "number", "lists", "deep"],
)
def test_the_first_text_counts_without_the_second(described: object, tmp_path: Path) -> None:
    content = rknn_bytes(described=described).replace(b'"{{', b"{'attrs':")
    (tmp_path / "m.rknn").write_bytes(content)
    facts = read_rknn(tmp_path / "m.rknn")
    assert (facts.target, facts.toolkit) == ("rk3588", "2.5.0")
    assert [one.name for one in facts.inputs] == ["a", "b"]
    assert facts.inputs[0].scale is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .rknn file: it has 0 bytes"),
        (b"RKNN", "not a .rknn file: it has 4 bytes"),
        (b"\x08\x07" * 100, "not a .rknn file: it starts with"),
        (b"RKNN\0\0\0\0" + struct.pack("<QQ", 6, 1 << 62) + bytes(99), "cut short: it should have"),
        (b"RKNN\0\0\0\0" + struct.pack("<QQ", 77, 1 << 62) + bytes(99), "unknown format 0x4d"),
        (rknn_bytes()[:-1], "cut short"),
        (rknn_bytes(b"[1"), "its description is broken: no JSON"),
        (rknn_bytes(b"[1]"), "its description is broken: no object"),
        (rknn_bytes(b"[" * 100_000), "its description is broken: no JSON"),
        (rknn_bytes(b"1" * 100_000), "its description is broken: no JSON"),
        (rknn_bytes(b"\xff{}"), "its description is broken: no JSON"),
    ],
)
def test_files_that_are_no_rknn(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.rknn").write_bytes(content)
    with pytest.raises(ModelError) as told:
        read_rknn(tmp_path / "m.rknn")
    assert message in told.value.message
    assert told.value.hint


def test_a_description_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.rknn"
    path.write_bytes(b"RKNN\0\0\0\0" + struct.pack("<QQ", 6, 0) + bytes(40) + b"\0\0\0\x40\0\0\0\0")
    with path.open("r+b") as file:
        file.truncate((1 << 30) + 72)  # sparse
    with pytest.raises(ModelError, match="too large to read"):
        read_rknn(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_rknn(tmp_path / "m.rknn")
    with pytest.raises(ModelError, match="is a folder"):
        read_rknn(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["target_platform", "version", "graph", "norm_tensor"]), json_values
    ),
    inside=json_values,
)
@settings(max_examples=200)
def test_json_of_any_form_is_read_or_refused(
    changes: dict[str, Any], inside: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = {**DOCUMENT, **changes}
    document["norm_tensor"] = [*DOCUMENT["norm_tensor"], inside, changes.get("norm_tensor")]
    path = tmp_path_factory.getbasetemp() / "any.rknn"
    described = {"attrs": {"a": inside}, "quant_tab": inside}
    path.write_bytes(rknn_bytes(document, described))
    facts = read_rknn(path)
    assert [one.name for one in facts.outputs] in (["y"], [])


@given(
    places=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=20),
    length=st.integers(0, 2**20),
)
@settings(max_examples=300)
def test_a_spoiled_file_is_read_or_refused(
    places: list[tuple[int, int]],
    length: int,
    built: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = bytearray(built("rk3588").read_bytes())
    tail = len(content) - 1200  # most of what is read lies in the first and last bytes
    for place, value in places:
        content[(tail if place % 3 else 0) + place % 1200] = value
    path = tmp_path_factory.getbasetemp() / "spoiled.rknn"
    path.write_bytes(content[:length] if length < len(content) else content)
    try:
        facts = read_rknn(path)
    except RockpressError as error:
        assert error.hint
    else:
        assert facts.bytes == len(content)
