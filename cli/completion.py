"""What Tab offers for the value of an option or an argument: every value that can be known."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import RockpressError
from ..core.option_kinds import File, Kind, beginning_with
from ..core.options import OFF

Completer = Callable[[Any, str], list[str]]
_MOST_FILES = _MOST_NAMES = 200
# options whose values are names in the model
_OF_MODEL = ("input", "constant", "outputs", "metric_output", "keep", "only")
_PRUNABLE = ("Conv", "ConvTranspose", "Gemm", "MatMul")

ONNX, RKNN, RECIPE = ".onnx", ".rknn", ".toml"
SAMPLES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".npy", ".npz")


def completer(name: str, kind: Kind, *, off: bool) -> Completer:
    """Return what completes the value of an option of the table, which may be ``off`` too."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        with suppress(OSError, ValueError, RockpressError):
            if isinstance(kind, File):
                return files_beginning_with(incomplete, kind.suffixes)
            if name == "metric_option":
                settings = _settings(str(ctx.params.get("metric") or "top1"))
                return beginning_with(incomplete, settings)
            if name in _OF_MODEL:
                return _names_in_model(name, _model_typed(), incomplete)
            words = kind.completions(incomplete)
            return [*words, *beginning_with(incomplete, (OFF,) if off and OFF not in words else ())]
        return []

    return complete


def file_completer(*suffixes: str) -> Completer:
    """Return what completes the path of a file with one of these endings."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        with suppress(OSError, ValueError):
            return files_beginning_with(incomplete, suffixes)
        return []

    return complete


def word_completer(words: Iterable[str]) -> Completer:
    """Return what completes one of a few words."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        return beginning_with(incomplete, words)

    return complete


def files_beginning_with(incomplete: str, suffixes: Sequence[str]) -> list[str]:
    """Return folders, and files with one of these endings, whose path begins like that.

    A folder that is the only one comes with what is in it, so that a shell goes on into it. None
    of a program or a text of which nothing is known: shells then offer every file.
    """
    if not suffixes:
        return []
    paths = _matching(incomplete, suffixes)
    if len(paths) == 1 and paths[0].endswith("/"):
        paths += _matching(paths[0], suffixes)
    return paths


def _matching(incomplete: str, suffixes: Sequence[str]) -> list[str]:
    folder, start = os.path.split(incomplete)
    names = sorted(
        f"{item.name}/" if item.is_dir() else item.name
        for item in os.scandir(os.path.expanduser(folder) or ".")
        if item.name.startswith(start)
        and (start or not item.name.startswith("."))
        and (item.is_dir() or Path(item.name).suffix.lower() in suffixes)
    )
    return [os.path.join(folder, name) for name in names[:_MOST_FILES]]


def _settings(metric: str) -> list[str]:
    from ..accuracy.metrics.metric_table import settings_of

    return settings_of(metric)


def _model_typed() -> Path:
    """Return the model among the words so far, which Typer has not read behind an open option."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = (os.path.expanduser(word) for word in shlex.split(line))
    return Path(next((word for word in words if word.lower().endswith(ONNX)), ""))


def _names_in_model(option: str, path: Path, incomplete: str) -> list[str]:
    """Return names in a model; of a list, the last of it is completed."""
    from ..core.graphs.graph import computed_tensors, fed_inputs
    from ..core.graphs.model import load_structure

    model = load_structure(path)
    before, comma, last = incomplete.rpartition(",")
    names: Iterable[str]
    if option in ("input", "constant"):
        names = (f"{value.name}=" for value in fed_inputs(model.graph))
    elif option in ("keep", "only"):
        names = (node.name for node in model.graph.node if node.op_type in _PRUNABLE)
    else:
        names = computed_tensors(model)
    return [f"{before}{comma}{name}" for name in beginning_with(last, names)][:_MOST_NAMES]
