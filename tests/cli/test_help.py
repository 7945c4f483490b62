"""Help: groups in the order of need, examples that run, and lines as wide as the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios

import pytest
import typer

from commands import Run, in_a_process
from rockpress.cli.examples import EXAMPLES
from rockpress.cli.help_columns import columns
from rockpress.cli.main import COMMANDS, app
from rockpress.convert.chips.targets import TARGET_NAMES
from rockpress.core.options import options_in
from rockpress.pipeline.options.option_table import GROUPS, HEADINGS
from terminals import read_all

WIDTHS = (60, 80, 120, 200)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("args", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=str)
def test_help_is_as_wide_as_the_terminal(
    args: list[str], width: int, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = rockpress(*args).out.splitlines()
    too_long = [line for line in lines if len(line) > width]
    assert [line for line in too_long if " " in line.strip()] == []  # but for a single word
    if width == WIDTHS[-1] and args[0] == "run":
        assert max(map(len, lines)) > WIDTHS[-2]


@pytest.mark.parametrize("width", [60, 100, 190])
def test_the_width_is_that_of_the_terminal(width: int) -> None:
    """In a real one, of which no variable tells the width."""
    terminal, ours = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "rockpress", "run", "--help"]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=ours, env=environ)
    os.close(ours)
    said = read_all(terminal)
    assert child.wait() == 0
    longest = max(map(len, said.decode().splitlines()))
    assert width - 15 < longest <= width


def test_options_stand_under_headings_in_the_order_of_need(rockpress: Run) -> None:
    lines = rockpress("run", "--help").out.splitlines()
    shown = [line[:-1] for line in lines if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert shown == ["Arguments", *(name for name in HEADINGS if name != "Search")]
    where = {line.split()[0]: number for number, line in enumerate(lines) if line.startswith("  -")}
    assert where["--calib"] < where["--scheme"] < where["--mean"] < where["--rounds"]
    assert lines[where["--calib"] - 1] == "Samples:"


def test_every_option_has_a_heading() -> None:
    headings = {option.heading for group in GROUPS.values() for option in options_in(group)}
    assert headings <= set(HEADINGS)


def test_the_short_help_is_the_first_sentence_of_each(rockpress: Run) -> None:
    short, long = rockpress("run", "-h").out, rockpress("run", "--help").out
    assert "Chip to build for. [default: rk3588]" in short
    assert "rk3562" not in short
    assert short.endswith("rockpress run --help says more of each.\n")
    assert len(short.splitlines()) < len(long.splitlines())
    options = re.compile(r"^  (?:-\w, )?(--[a-z-]+)", re.MULTILINE)
    assert options.findall(short) == options.findall(long)


def test_chips_and_metrics_are_listed(rockpress: Run) -> None:
    shown = " ".join(rockpress("run", "--help").out.split())
    assert f"Known: {', '.join(TARGET_NAMES)}." in shown
    assert "Known: top1, top5, " in shown


def test_help_is_a_command_too(rockpress: Run) -> None:
    assert rockpress("help", "check").out == rockpress("check", "--help").out
    assert rockpress("help").out == rockpress("--help").out == rockpress("-h").out


def test_every_verb_has_examples_that_can_be_typed() -> None:
    group = typer.main.get_command(app)
    assert set(EXAMPLES) == set(COMMANDS)
    for verb, lines in EXAMPLES.items():
        for line in lines:
            program, *words = shlex.split(line)
            with group.make_context("rockpress", words[:1], resilient_parsing=True) as ctx:
                name, command, _ = group.resolve_command(ctx, words)  # type: ignore[attr-defined]
            assert (program, name) == ("rockpress", verb)
            command.make_context(verb, words[1:])


def test_the_name_alone_tells_where_to_start() -> None:
    done = in_a_process(env={"COLUMNS": "80", "PATH": ""})
    assert (done.returncode, done.stderr) == (2, "")
    starts = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  rock")]
    assert starts == ["demo", "init", "run", "run", "--help"]


def test_a_long_name_gets_a_line_of_its_own() -> None:
    rows = [("--a", "short [default: 1]"), (f"--{'b' * 40}", "long")]
    assert columns(rows, 60).splitlines() == [
        f"  --a{' ' * 25}short [default: 1]",
        f"  --{'b' * 40}",
        f"{' ' * 30}long",
    ]
