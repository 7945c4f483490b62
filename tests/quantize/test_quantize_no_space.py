"""A refit that has no space for temporary files loses and is named; alone, it is an error."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import model_of, random_feeds
from rockpress.core.errors import TemporarySpaceError
from rockpress.core.streaming.layerwise import LayerwiseExecutor
from rockpress.core.types import SampleSet
from rockpress.quantize.integer.integer_candidates import IntegerCandidates
from rockpress.quantize.quantize import QuantizeResult, quantize
from rockpress.quantize.rendering.plan import Plan
from rockpress.quantize.schemes.w4a16 import FourBitCandidates
from rockpress.quantize.statistics.sample_subset import SampleSubset

NET = "(float[1,3,8,8] x) => (float y) { a = Conv (x, w, b) r = Relu (a) y = Conv (r, v, c) }"
SHAPES = {"w": (8, 3, 1, 1), "b": (8,), "v": (4, 8, 1, 1), "c": (4,)}


class FullFile:
    """A temporary file that takes so many bytes, as a full disk does."""

    def __init__(self, most: int, number: int = errno.ENOSPC) -> None:
        self._file, self._most, self._number = tempfile.TemporaryFile(), most, number  # noqa: SIM115

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._most:
            raise OSError(self._number, "it is full")
        return self._file.write(data)

    def seek(self, *place: int) -> int:
        return self._file.seek(*place)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        return self._file.read(size)


def quantized(folder: Path, scheme: str, method: str) -> QuantizeResult:
    folder.mkdir(exist_ok=True)
    model = model_of(NET, SHAPES)
    samples = random_feeds(model, 40)
    paths = folder / "q.onnx", folder / "p.toml"
    return quantize(model, *paths, samples[8:], samples[:8], scheme=scheme, method=method)


def fill(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> None:
    """Let a refit find a full disk: what it holds of the samples, and nothing else."""
    run_until = LayerwiseExecutor.run_until

    def run_on_a_full_disk(self: LayerwiseExecutor, position: int) -> None:
        with monkeypatch.context() as full:
            full.setattr(tempfile, "SpooledTemporaryFile", lambda _: FullFile(3000, number))
            run_until(self, position)

    monkeypatch.setattr(LayerwiseExecutor, "run_until", run_on_a_full_disk)


@pytest.mark.parametrize("scheme", ["w8a8", "w4a16"])
def test_auto_goes_on_without_a_refit(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch)
    result = quantized(tmp_path, scheme, "auto")
    assert "refit" not in result.plan.method and result.path.exists()
    (notice,) = (each for each in result.notices if each.code == "refit-no-space")
    assert notice.text.startswith("layers could not be refitted (gptq")
    assert notice.text.endswith(f"-refit): no space left in TMPDIR ({tempfile.gettempdir()})")
    assert "TMPDIR" in notice.hint


@pytest.mark.parametrize(
    ("scheme", "candidates"), [("w8a8", IntegerCandidates), ("w4a16", FourBitCandidates)]
)
def test_auto_goes_on_where_only_the_refit_for_the_file_has_no_space(
    scheme: str,
    candidates: type[IntegerCandidates | FourBitCandidates],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    final: Callable[..., tuple[Plan, ModelProto]] = candidates.final
    plans = list[Plan]()

    def final_on_a_full_disk(
        self: IntegerCandidates | FourBitCandidates, plan: Plan, more: SampleSet
    ) -> tuple[Plan, ModelProto]:
        if not plans:
            fill(monkeypatch)
        plans.append(plan)
        return final(self, plan, more)

    monkeypatch.setattr(candidates, "final", final_on_a_full_disk)
    result = quantized(tmp_path, scheme, "auto")
    refit, plan = plans
    assert refit.method.endswith("-refit") and not plan.method.endswith("-refit")
    assert result.plan.method == plan.method and result.plan.samples == 40
    assert [each.code for each in result.notices] == ["refit-no-space"]
    assert refit.method in result.notices[0].text
    whole = quantized(tmp_path / "named", scheme, plan.method)
    assert result.path.read_bytes() == whole.path.read_bytes()


@pytest.mark.parametrize("scheme", ["w8a8", "w4a16"])
def test_a_refit_by_name_says_where_the_space_is_missing(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch)
    with pytest.raises(TemporarySpaceError, match="no space left in TMPDIR") as caught:
        quantized(tmp_path, scheme, "gptq-refit")
    assert "set TMPDIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_limit_of_file_sizes_is_told_from_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch, errno.EFBIG)
    with pytest.raises(TemporarySpaceError, match="larger than allowed") as caught:
        quantized(tmp_path, "w8a8", "gptq-refit")
    assert "ulimit -f" in caught.value.hint


def test_samples_that_cannot_be_stored_pass_and_fail_where_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda _: FullFile(200))
    subset = SampleSubset(8)
    feeds = [{"x": np.full(20, index, np.float32)} for index in range(20)]
    assert len(list(subset.passing(feeds))) == 20
    assert 0 < len(subset) <= 8
    with pytest.raises(TemporarySpaceError, match="no space left in TMPDIR"):
        list(subset)
    with pytest.raises(TemporarySpaceError, match="no space left in TMPDIR"):
        list(subset.evenly(2))
