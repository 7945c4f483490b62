"""Number formats and methods are found by their files: one new file is all that a new one takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import model_of
from rockpress.core.errors import OptionError
from rockpress.quantize import methods, schemes
from rockpress.quantize.choices import names
from rockpress.quantize.choices.names import AUTO, method_names, scheme_names
from rockpress.quantize.methods import find_method
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import Plan, read_plan
from rockpress.quantize.schemes import Scheme, find_scheme

HALVED = """
from . import QuantizationMethod, RangeMethod

ORDER = 200


def halved(histogram):
    return histogram.low / 2, histogram.high / 2


METHOD = QuantizationMethod(RangeMethod("halved", halved))
"""
NARROW = """
from .w8a8 import W8A8


class Narrow(W8A8):
    \"\"\"As w8a8, but for this.\"\"\"

    methods = ("min-max",)


SCHEME = Narrow()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose sub-folders hold further methods and schemes."""
    for package, constant in ((methods, "METHOD_FOLDERS"), (schemes, "SCHEME_FOLDERS")):
        folders = [*getattr(names, constant), tmp_path / constant]
        folders[-1].mkdir()
        monkeypatch.setattr(names, constant, folders)
        monkeypatch.setattr(package, "__path__", [str(folder) for folder in folders])
    method_names.cache_clear()
    scheme_names.cache_clear()
    yield tmp_path
    method_names.cache_clear()
    scheme_names.cache_clear()


@pytest.fixture(scope="module")
def net() -> ModelProto:
    text = "(float[1,3,4,4] x) => (float[1,8,4,4] y) { c = Conv (x, w) y = Relu (c) }"
    return model_of(text, {"w": np.random.default_rng(0).standard_normal((8, 3, 1, 1))})


def plan_of(net: ModelProto, folder: Path, method: str, scheme: str = "w8a8") -> Plan:
    random = np.random.default_rng(1)
    samples = [{"x": random.standard_normal((1, 3, 4, 4)).astype(np.float32)} for _ in range(3)]
    paths = folder / "q.onnx", folder / "p.toml"
    return quantize(net, *paths, samples, method=method, scheme=scheme).plan


def test_the_names_need_no_numpy() -> None:
    code = (
        "import sys; from rockpress.quantize.choices.names import method_names, scheme_names;"
        "method_names(); scheme_names();"
        "print([name for name in ('numpy', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_order_of_the_names() -> None:
    assert scheme_names() == ("w8a8", "w8a16", "w4a16", "float16")
    known = [AUTO, "gptq", "gptq-min-max", "mse", "min-max", "percentile", "kl"]
    assert [name for name in method_names() if name in known] == known
    assert method_names()[0] == AUTO


@pytest.mark.parametrize("name", scheme_names())
def test_every_scheme_takes_methods_that_there_are(name: str) -> None:
    scheme = find_scheme(name)
    assert scheme.name == name
    assert set(scheme.methods) <= set(method_names())
    assert bool(scheme.methods_for(AUTO, is_trial=True)) == scheme.quantizes
    assert scheme.mixing is None or scheme.mixing.rescue.kind in scheme.mixing.kinds


@pytest.mark.parametrize("name", [name for name in method_names() if name != AUTO])
def test_a_refined_method_is_one_that_auto_tries(name: str) -> None:
    refined = find_method(name).refines
    if refined and find_method(refined).refines:
        refined = find_method(refined).refines
    assert not refined or find_method(refined).is_compared


def test_a_method_is_one_file(folder: Path, net: ModelProto, tmp_path: Path) -> None:
    (folder / "METHOD_FOLDERS" / "halved.py").write_text(HALVED)
    assert method_names()[-1] == "halved"
    whole, halved = (plan_of(net, tmp_path, method) for method in ("min-max", "halved"))
    assert halved.method == "halved"
    assert halved.activations["y"].source == "halved"
    assert halved.activations["y"].high == pytest.approx(whole.activations["y"].high / 2)


def test_a_scheme_is_one_file(folder: Path, net: ModelProto, tmp_path: Path) -> None:
    (folder / "SCHEME_FOLDERS" / "narrow.py").write_text(NARROW)
    assert scheme_names()[-1] == "narrow"
    assert plan_of(net, tmp_path, AUTO, "narrow").method == "min-max"
    assert read_plan(tmp_path / "p.toml").scheme == "narrow"
    with pytest.raises(OptionError, match="is not for this number format") as caught:
        plan_of(net, tmp_path, "mse", "narrow")
    assert caught.value.hint == "choose one of: auto, min-max"


def test_float16_quantizes_nothing(net: ModelProto, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="quantizes nothing") as caught:
        plan_of(net, tmp_path, AUTO, "float16")
    assert caught.value.hint == "choose one of: w8a8, w8a16, w4a16"
    with pytest.raises(OptionError, match="quantizes nothing"):
        find_scheme("float16").handover(plan_of(net, tmp_path, "min-max"))


def test_a_scheme_says_how_it_gets_to_the_toolkit() -> None:
    class Unfinished(Scheme):
        quantizes = True

    with pytest.raises(TypeError, match="abstract"):
        Unfinished()  # type: ignore[abstract]


def test_an_unknown_scheme_is_refused(net: ModelProto, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--scheme w1a1 is not known"):
        plan_of(net, tmp_path, AUTO, "w1a1")
