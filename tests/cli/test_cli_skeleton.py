"""What every command shares: the table, start-up, options, errors, signals and completion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
from typer.testing import CliRunner

from commands import in_a_process
from rockpress.cli import handler, parameters
from rockpress.cli.main import COMMANDS
from rockpress.cli.verb_options import OptionValues, takes
from rockpress.core.errors import ModelError, OptionError, RockpressError, ToolkitError
from rockpress.core.options import options_in
from rockpress.pipeline.options.option_table import GROUPS

CLI = Path(__file__).parents[2] / "cli"
COMMAND_FILES = {file.stem for file in (CLI / "commands").glob("[a-z]*.py")}
WRITTEN = [name for name in COMMANDS if name.replace("-", "_") in COMMAND_FILES]
MODULES = sorted(file.stem for file in CLI.glob("[a-z]*.py"))
HEAVY = {"cv2", "numpy", "onnx", "onnxruntime", "psutil", "pydantic", "rich", "rknn", "scipy"}
# flags that are not the same everywhere
OWN_WORDS = ("--output", "--force", "--quantize")
OWN_OF_A_COMMAND = {("compare", "--report")}  # it writes a comparison, and no .xml
# pydantic and rich come with Typer, when a command that runs reads its options.
HEAVIER = HEAVY - {"pydantic", "rich"}


def imported_by(code: str, names: set[str]) -> set[str]:
    """Which of these packages a Python that runs the code has imported at its end."""
    ask = f"import sys\n{code}\nprint('imported', *({names!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def imported_by_command(*args: str, names: set[str]) -> set[str]:
    code = "from contextlib import suppress\nfrom rockpress.cli.main import main\n"
    code += f"sys.argv = ['rockpress', *{args!r}]\nwith suppress(SystemExit):\n    main()"
    return imported_by(code, names)


# The table of commands


def test_every_command_is_written() -> None:
    assert list(COMMANDS) == WRITTEN


def test_options_are_of_commands_that_there_are() -> None:
    verbs = {
        verb
        for group in GROUPS.values()
        for described in options_in(group)
        for verb in described.verbs
    }
    assert verbs <= set(COMMANDS)


def test_help_lists_every_command() -> None:
    shown = in_a_process("--help").stdout
    for name, summary in COMMANDS.items():
        assert f"  {name} " in shown
        assert summary[:40] in shown


@pytest.mark.parametrize("name", WRITTEN)
def test_help_of_a_command_starts_with_its_summary(name: str) -> None:
    done = in_a_process(name, "--help", env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0
    assert COMMANDS[name].rstrip(".") in done.stdout


def test_a_flag_reads_the_same_in_every_command() -> None:
    helps: dict[str, set[tuple[str, str]]] = {}
    for name in WRITTEN:
        module = import_module(f"rockpress.cli.commands.{name.replace('-', '_')}")
        for option in typer.main.get_command(module.app).params:
            for flag in option.opts:
                is_own = flag in OWN_WORDS or (name, flag) in OWN_OF_A_COMMAND
                if flag.startswith("--") and not is_own:
                    helps.setdefault(flag, set()).add(
                        (
                            str(option.opts),
                            str(getattr(option, "help", "")).partition(" [default: ")[0],
                        )
                    )
    assert not {flag: texts for flag, texts in helps.items() if len(texts) > 1}


# Start-up


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["nosuch"], ["--nosuch"], []])
def test_starts_without_a_command_import_nothing_heavy(args: list[str]) -> None:
    assert imported_by_command(*args, names=HEAVY) == set()


@pytest.mark.parametrize("name", WRITTEN)
def test_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    assert imported_by_command(name, "--help", names=HEAVY) == set()


@pytest.mark.parametrize("name", MODULES)
def test_modules_import_nothing_heavy(name: str) -> None:
    assert imported_by(f"import rockpress.cli.{name}", HEAVIER) == set()


# What the program itself answers


def test_version() -> None:
    from rockpress import __version__

    done = in_a_process("--version")
    assert (done.returncode, done.stdout) == (0, f"rockpress {__version__}\n")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "rockpress init model.onnx"),
        (["prun"], "hint: did you mean rockpress prune?"),
        (["--nosuch"], "error: there is no option --nosuch"),
    ],
)
def test_wrong_usage_exits_with_2(args: list[str], told: str) -> None:
    done = in_a_process(*args)
    assert done.returncode == 2
    assert told in done.stdout + done.stderr


# Options


def parsed(*args: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, last line of the output and the values of a command with a bit of everything."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    seen: dict[str, Any] = {}

    @app.command()
    @takes("run")
    def command(
        options: OptionValues,
        report: parameters.ReportFiles = None,
        quiet: parameters.Quiet = False,
    ) -> None:
        seen.update(options)
        seen.update({"report": report} if report else {})
        seen.update({"quiet": quiet} if quiet else {})

    result = CliRunner().invoke(app, args)
    error = result.exception
    if isinstance(error, OptionError):
        return error.exit_code, error.message, seen
    return result.exit_code, result.output, seen


def test_options_that_are_not_given_are_left_out() -> None:
    assert parsed() == (0, "", {})


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (["--size", "48x192"], "size", [48, 192]),
        (["--mean", "123.675,116.28,103.53"], "mean", [123.675, 116.28, 103.53]),
        (["--mean", "-1"], "mean", [-1.0]),
        (["--std", "58.395"], "std", [58.395]),
        (["--input", "x=1x3x48x192"], "input", {"x": [1, 3, 48, 192]}),
        (["--input", "a=b:0=7", "--input", "y=2X3"], "input", {"a=b:0": [7], "y": [2, 3]}),
        (["--input", "x=1x3,1x5"], "input", {"x": [[1, 3], [1, 5]]}),
        (["--input", "x=1x3", "--input", "x=1x5"], "input", {"x": [[1, 3], [1, 5]]}),
        (["--outputs", "boxes, scores"], "outputs", ["boxes", "scores"]),
        (["--outputs", "boxes", "--outputs", "a,b"], "outputs", ["boxes", "a", "b"]),
        (["--target", "rk3588", "--target", "rk3566"], "target", ["rk3588", "rk3566"]),
        (["--resize", "letterbox"], "resize", "letterbox"),
        (["--min-retention", "0.98"], "min_retention", 0.98),
        (["--calib-count", "20"], "calib_count", 20),
        (["--report", "a/report.md"], "report", [Path("a/report.md")]),
        (["-q"], "quiet", True),
    ],
)
def test_values_of_options(args: list[str], name: str, value: object) -> None:
    code, _, values = parsed(*args)
    assert code == 0
    assert values[name] == value


@pytest.mark.parametrize(
    "args",
    [
        *(["--size", text] for text in ("48", "48x", "0x5", "48x192x3", "-4x4", "1e3x2", "")),
        *(["--mean", text] for text in ("a", "", "1,,2", "nan", "1,inf")),
        *(["--std", text] for text in ("0", "1,-1", "x")),
        *(["--input", text] for text in ("x", "x=", "=1x3", "x=1x0", "x=1x-3", "x=1xa", "x=1,")),
        *(["--outputs", text] for text in ("", "a,", "a,a")),
        *(["--resize", text] for text in ("zoom",)),
        *(["--min-retention", text] for text in ("98", "-0.1", "nan", "x")),
        *(["--calib-count", text] for text in ("0", "1.5", "x")),
        *(["--memory-limit", text] for text in ("0", "1e7", "1e308")),
        *(["--report", text] for text in ("report", "report.pdf")),
    ],
    ids=" ".join,
)
def test_wrong_values_are_told_in_one_line(args: list[str]) -> None:
    code, told, _ = parsed(*args)
    assert code == 2
    assert told.startswith(f"{args[0]}: {args[1]!r} ")


def test_an_option_is_given_by_one_of_its_names() -> None:
    for args in (
        ["--scheme", "w8a8", "--quantize", "off"],
        ["--budget", "macs=-9%", "--prune", "off"],
    ):
        code, told, _ = parsed(*args)
        assert code == 2
        assert "is given by an earlier name too" in told


# Errors and exit codes


def raising(error: BaseException, cause: BaseException | None = None) -> Callable[[], None]:
    def call() -> None:
        raise error from cause

    return call


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ModelError("m.onnx: no such file", "check the path"), 1, ["hint: check the path"]),
        (RockpressError("two\nlines"), 1, []),
        (OptionError("--size and --input disagree"), 2, []),
        (MemoryError(), 1, ["hint: "]),
    ],
)
def test_an_error_is_one_line_and_a_hint(
    error: Exception, code: int, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert handler.run(raising(error)) == code
    out, lines = capsys.readouterr()
    first, *rest = lines.splitlines()
    assert out == ""
    assert first.startswith("error: ")
    assert len(rest) == len(told)
    assert all(line.startswith(start) for line, start in zip(rest, told, strict=True))


def test_verbose_tells_the_causes(capsys: pytest.CaptureFixture[str]) -> None:
    cause = ValueError("bad magic")
    cause.__cause__ = OSError("short read")
    call = raising(ModelError("m.onnx is no ONNX file"), cause)
    assert handler.run(call) == 1
    assert "bad magic" not in capsys.readouterr().err
    assert handler.run(call, verbose=True) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == ["cause: ValueError: bad magic", "cause: OSError: short read"]


def logged(told: str) -> str:
    """The content of the log that the last line names."""
    path = Path(told.splitlines()[-1].removeprefix("log: "))
    content = path.read_text()
    path.unlink()
    return content


def test_the_toolkits_output_goes_to_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert handler.run(raising(ToolkitError("cannot build", log="E RKNN: unsupported"))) == 1
    told = capsys.readouterr().err
    assert "unsupported" not in told
    assert "E RKNN: unsupported" in logged(told)


def test_a_bug_is_two_lines_and_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert handler.run(raising(KeyError("missing"))) == 3
    told = capsys.readouterr().err
    assert told.splitlines()[0].startswith("a bug in rockpress: KeyError: 'missing' (in ")
    assert len(told.splitlines()) == 2
    log = logged(told)
    assert "Traceback (most recent call last)" in log
    assert "numpy" in log


@pytest.mark.parametrize(("raised", "code"), [(None, 0), (0, 0), (2, 2), (4, 4), ("text", 1)])
def test_exit_codes_pass_through(raised: object, code: int) -> None:
    assert handler.run(raising(SystemExit(raised))) == code


def test_nobody_reading_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = in_a_process("--help", stdout=write, stderr=subprocess.PIPE, capture_output=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (handler.BROKEN_PIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_the_output_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = in_a_process("--help", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the result cannot be shown: No space left on device\n")


WITH_A_CHILD = """
import subprocess, sys, time
from rockpress.cli import handler
def work():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        print(child.pid, flush=True)  # in here: what is to be cleaned up has begun
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
handler.catch_signals()
sys.exit(handler.run(work))
"""


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_cleans_up_and_ends_the_children(number: signal.Signals, word: str) -> None:
    command = [sys.executable, "-c", WITH_A_CHILD]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        child = psutil.Process(int(process.stdout.readline()))
        process.send_signal(number)
        out, told = process.communicate(timeout=300)
    assert (process.returncode, out, told) == (128 + number, "cleaned up\n", f"{word}\n")
    assert not child.is_running()


# Completion


def completed(shell: str, *words: str) -> list[str]:
    """What pressing Tab after the last of the words offers, asked as the shell's script asks."""
    variables = {
        "bash": {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": " ".join(words)},
        "fish": {
            "_TYPER_COMPLETE_ARGS": " ".join(words),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }[shell]
    asked = {"_ROCKPRESS_COMPLETE": f"complete_{shell}", **variables}
    offered = in_a_process(env={**os.environ, **asked}).stdout
    if shell == "zsh":  # _arguments '*: :(("prune":"Remove ..."\n"...":"..."))'
        return [line.split('"')[1] for line in offered.splitlines() if '"' in line]
    return [line.partition("\t")[0] for line in offered.splitlines()]


SHELLS = pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])


@SHELLS
def test_completion_script(shell: str) -> None:
    done = in_a_process(env={**os.environ, "_ROCKPRESS_COMPLETE": f"source_{shell}"})
    assert done.returncode == 0
    assert f"_ROCKPRESS_COMPLETE=complete_{shell}" in done.stdout


@SHELLS
def test_completion_of_a_command(shell: str) -> None:
    assert completed(shell, "rockpress", "pru") == ["prune"]


@SHELLS
def test_completion_of_an_option(shell: str) -> None:
    assert completed(shell, "rockpress", "--ver") == ["--version"]


@SHELLS
def test_completion_of_a_commands_option(shell: str) -> None:
    assert completed(shell, "rockpress", "convert", "--targ") == ["--target"]


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    command = tmp_path / "rockpress"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rockpress "$@"\n')
    command.chmod(0o755)
    script = in_a_process(env={**os.environ, "_ROCKPRESS_COMPLETE": "source_bash"}).stdout
    script += f'\nCOMP_WORDS=(rockpress qu); COMP_CWORD=1; _rockpress_completion "{command}"'
    script += '\necho "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout == "quantize\n", done.stderr


def test_a_signal_that_an_import_made_something_else_of() -> None:
    """Native modules turn an interruption while they are loaded into an ImportError."""
    script = """
import os, signal, sys, time
from rockpress.cli import handler
def work():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    except BaseException:
        raise ImportError("initialization failed")
handler.catch_signals()
sys.exit(handler.run(work))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 143
    assert "bug" not in done.stderr and "terminated" in done.stderr
