"""Completion of values, asked as the script of bash asks: every value that can be known."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import in_a_process
from rockpress.accuracy.metrics.metric_names import metric_modules
from rockpress.cli.completion import files_beginning_with
from rockpress.convert.chips.targets import TARGET_NAMES
from rockpress.core.option_kinds import File
from rockpress.pipeline.families import family_names
from rockpress.pipeline.options.option_table import options_of
from rockpress.quantize.choices.names import method_names, scheme_names


def offered(line: str) -> list[str]:
    """What Tab after this line offers."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    asked = {
        "_ROCKPRESS_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    return in_a_process(env={**os.environ, **asked}).stdout.split()


@pytest.mark.parametrize("words", [{}, {"COMP_WORDS": "rockpress run '", "COMP_CWORD": "x"}])
def test_nothing_is_asked_for(words: dict[str, str]) -> None:
    done = in_a_process(env={**os.environ, "_ROCKPRESS_COMPLETE": "complete_bash", **words})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("run m.onnx --target ", TARGET_NAMES),
        ("run m.onnx --target rk358", ["rk3588"]),
        ("run m.onnx --scheme ", scheme_names()),
        ("run m.onnx --method ", method_names()),
        ("run m.onnx --family ", family_names()),
        ("run m.onnx --metric ", list(metric_modules())),
        ("run m.onnx --metric map", ["map", "map50"]),
        ("check a.onnx b.onnx --metric ci", []),
        ("run m.onnx --prune ", ["cycles=-30%", "latency=-25%", "macs=-40%", "size=-50%", "off"]),
        ("run m.onnx --prune cy", ["cycles=-30%"]),
        ("run m.onnx --mixed la", ["latency=+8%"]),
        ("run m.onnx --max-regression ", ["size=2%", "cycles=2%", "latency=2%", "retention=2%"]),
        ("run m.onnx --sparsity ", ["2:4", "off"]),
        ("run m.onnx --resize l", ["letterbox"]),
        ("run m.onnx --recover d", ["distill"]),
        ("convert m.onnx --toolkit-quantizer kl", ["kl_divergence"]),
        ("init m.onnx --ci git", ["github", "gitlab"]),
        ("run m.onnx --report report.h", ["report.html"]),
        ("run m.onnx --metric pose --metric-option head=yolov8", ["head=yolov8"]),
    ],
    ids=str,
)
def test_values_are_completed(line: str, values: list[str]) -> None:
    assert offered(f"rockpress {line}") == [*values]


def test_the_options_of_the_metric_that_is_given() -> None:
    of_text = offered("rockpress run m.onnx --metric line-accuracy --metric-option ")
    assert "charset=" in of_text
    assert "charset=" not in offered("rockpress run m.onnx --metric-option ")


def test_files_are_completed_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "a.rknn", "a.toml", "a.json", "a.npz", "notes.txt", ".a.onnx"):
        (tmp_path / name).touch()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "b.onnx").touch()
    assert offered("rockpress run ") == ["a.onnx", "a.toml", "models/"]
    assert offered("rockpress inspect a") == ["a.onnx", "a.rknn"]
    assert offered("rockpress check a.onnx a.r") == ["a.rknn"]
    assert offered("rockpress run m") == ["models/", "models/b.onnx"]
    assert offered("rockpress run a.onnx --baseline ") == ["a.json", "models/"]
    assert offered("rockpress run a.onnx --calib a") == ["a.npz"]
    assert offered("rockpress predict a.onnx a") == ["a.npz"]
    assert offered("rockpress predict a.onnx a.npz --against a.r") == ["a.rknn"]
    assert offered("rockpress run nowhere/") == []


def test_names_of_the_model_are_completed(small_cnn: Path) -> None:
    model = shlex.quote(str(small_cnn))
    assert offered(f"rockpress run {model} --input ") == ["x="]
    tensors = offered(f"rockpress run {model} --outputs ")
    assert "stem_relu" in tensors and "first" in tensors
    assert offered(f"rockpress check {model} b.onnx --outputs first,stem_r") == ["first,stem_relu"]
    assert "depthwise" in offered(f"rockpress prune {model} --keep ")


def test_every_choice_offers_something() -> None:
    """An option whose values are known says so to the shell, whichever verb has it."""
    silent = {
        described.flag
        for verb in ("run", "check", "prune", "quantize", "convert", "inspect")
        for described in options_of(verb)
        if not isinstance(described.kind, File)
        and (described.kind.metavar.startswith("[") or described.kind.known_values)
        and not described.kind.completions("")
    }
    assert silent == set()


def test_what_is_known_without_a_model_loads_nothing_heavy() -> None:
    code = (
        "import sys; from rockpress.cli.commands.run import app; import typer\n"
        "command = typer.main.get_command(app)\n"
        "for name in ('target', 'metric', 'scheme', 'prune', 'family'):\n"
        "    param = next(each for each in command.params if each.name == name)\n"
        "    assert param.shell_complete(command.make_context('run', ['m']), '')\n"
        "print(sorted({'numpy', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_folder_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        files_beginning_with(f"{tmp_path}/none/x", (".onnx",))
    assert offered(f"rockpress run {tmp_path}/none/x") == []
