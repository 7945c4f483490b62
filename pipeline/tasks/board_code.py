"""The folder beside a ``.rknn`` with programs that use it on a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...board.generated.board_program import BoardProgram
from ...board.generated.program_files import CHIPS, LANGUAGES, program_files
from ...convert.chips.targets import find_target
from ...convert.manifest import Manifest, board_folder, manifest_path, read_manifest
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.files import write_text
from ...core.results.reading import Reading


def write_board_code(rknn: Path, manifest: Manifest, languages: Sequence[str] = LANGUAGES) -> None:
    """Write the programs beside ``rknn``, as its manifest says how it is fed and read.

    There are none for a chip without the runtime that they are written for, nor for a ``.rknn``
    that takes several samples together, or inputs of several sizes.
    """
    target = find_target(manifest.target)
    if unsupported(target.name, manifest.rknn_batch_size, bool(manifest.input_sets)):
        return
    program = BoardProgram(
        rknn.stem,
        target.name,
        target.cores,
        manifest.inputs,
        manifest.outputs,
        manifest.classes,
        manifest.reading or Reading(),
    )
    for name, text in program_files(program, languages).items():
        write_text(board_folder(rknn) / name, text)


def unsupported(target: str, batch: int, has_sets: bool) -> str:
    """Return why there are no programs; "" where there are."""
    if target not in CHIPS:
        return f"the runtime of {target} is another one than that of {', '.join(CHIPS)}"
    if batch > 1:
        return f"the .rknn takes {batch} samples together"
    return "the .rknn has inputs of several sizes" if has_sets else ""


def missing_because(rknn: Path) -> str:
    """Return why there are no programs for a ``.rknn``, by its manifest; "" where nothing is known.

    Raises RockpressError for a manifest that is broken.
    """
    path = manifest_path(rknn)
    if not path.is_file():
        return ""
    manifest = read_manifest(path)
    return unsupported(manifest.target, manifest.rknn_batch_size, bool(manifest.input_sets))


def require_supported(languages: Sequence[str], target: str, batch: int, has_sets: bool) -> None:
    """Raise OptionError for programs that are asked for and cannot be made."""
    code = option("code", list(languages))
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown:
        raise OptionError(f"{code}: {unknown[0]!r} is not known", f"use {' or '.join(LANGUAGES)}")
    reason = unsupported(target, batch, has_sets) if languages else ""
    if reason:
        raise OptionError(f"{code}: there are no programs for this, as {reason}", "leave it out")
