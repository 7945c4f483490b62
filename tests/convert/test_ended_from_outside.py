"""A toolkit process that is ended from outside says nothing of the model, nor does one crash."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from rockpress.convert.compiled_model import FUSING_LEVEL
from rockpress.convert.convert import convert
from rockpress.convert.oracle import Oracle
from rockpress.convert.request import ConversionRequest, ToolkitSettings
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import ToolkitCrashed, ToolkitEnded
from rockpress.core.graphs.model import load_model
from rockpress.core.progress import SILENT
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.run import run

pytestmark = [
    pytest.mark.toolkit,
    pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2"),
]


def python_that_ends(folder: Path, number: signal.Signals, *, times: int) -> Path:
    """A Python with the toolkit, whose first toolkit processes end by a signal."""
    path, ended = folder / "python", folder / "ended"
    path.write_text(
        f'#!/bin/sh\nended="{ended}"\n'
        f'case "$1" in *child.py) if [ "$(cat "$ended" 2>/dev/null | wc -l)" -lt {times} ]; then\n'
        f'echo >> "$ended"; kill -{number.name[3:]} $$; fi;; esac\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    path.chmod(0o755)
    return path


def request_of(model: Path, output: Path, python: Path) -> ConversionRequest:
    return ConversionRequest(model, output, "rk3588", toolkit=ToolkitSettings(python=python))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_what_happens_once_changes_nothing(
    number: signal.Signals, small_cnn: Path, tmp_path: Path
) -> None:
    python = python_that_ends(tmp_path, number, times=1)
    result = convert(request_of(small_cnn, tmp_path / "a.rknn", python))
    assert (result.level, result.warnings) == (FUSING_LEVEL, ())
    assert len((tmp_path / "ended").read_text()) == 1
    plain = convert(request_of(small_cnn, tmp_path / "b.rknn", Path(sys.executable)))
    assert (result.bytes, result.layers) == (plain.bytes, plain.layers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGXCPU])
def test_what_is_ended_twice_is_an_error_and_no_other_way(
    number: signal.Signals, small_cnn: Path, tmp_path: Path
) -> None:
    python = python_that_ends(tmp_path, number, times=9)
    with pytest.raises(ToolkitEnded, match=rf"something else ended it \({number.name}\)") as caught:
        convert(request_of(small_cnn, tmp_path / "out" / "a.rknn", python))
    reason = "CPU time" if number == signal.SIGXCPU else "memory"
    assert reason in caught.value.hint
    assert len((tmp_path / "ended").read_text()) == 2
    assert not (tmp_path / "out").exists()


def test_a_crash_that_repeats_is_the_models(small_cnn: Path, tmp_path: Path) -> None:
    python = python_that_ends(tmp_path, signal.SIGSEGV, times=2)
    result = convert(request_of(small_cnn, tmp_path / "a.rknn", python))
    assert result.level == FUSING_LEVEL - 1
    assert [warning.code for warning in result.warnings] == ["toolkit-crash"]


def test_the_oracle_asks_once_more(small_cnn: Path, tmp_path: Path) -> None:
    python = python_that_ends(tmp_path, signal.SIGTERM, times=1)
    with Oracle(python) as oracle:
        assert oracle.cycles(load_model(small_cnn), "rk3588", "float16") > 0
    python = python_that_ends(tmp_path, signal.SIGSEGV, times=9)
    with Oracle(python) as oracle, pytest.raises(ToolkitCrashed):
        oracle.cycles(load_model(small_cnn), "rk3588", "float16")


def test_a_run_that_was_disturbed_is_not_what_later_ones_get(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    """Of nothing that failed is anything kept; the next run has what an undisturbed one has."""
    python = python_that_ends(tmp_path, signal.SIGTERM, times=9)
    cache = Cache(tmp_path / "cache")
    recipe = make_recipe(
        small_cnn, calib=image_folder, method="min-max", mixed="off", toolkit_python=python
    ).with_options(cache=cache)
    with pytest.raises(ToolkitEnded):
        run(recipe, tmp_path / "out", SILENT)
    assert not (tmp_path / "out").exists()
    (tmp_path / "ended").write_text("\n" * 9)
    report = run(recipe, tmp_path / "out", SILENT)
    assert [warning for warning in report.targets[0].warnings if "crash" in warning.code] == []
    statuses = {stage.name: stage.status for stage in report.targets[0].stages}
    assert statuses["convert"] == "done"
