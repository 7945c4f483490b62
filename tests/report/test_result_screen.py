"""The screen of a result: in a terminal of any width, in a log, and what it says to do next.

The screens are text files in ``screens/``; ROCKPRESS_WRITE_SCREENS=1 writes them anew.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
import typer

from printed_screens import CODE, LOG, printed, require_as_before
from result_reports import NEXT_REPORT, PASSED, REPORTS, report
from rknn_files import rknn_with_manifest
from rockpress.cli.commands import run as run_command
from rockpress.cli.phrases import command_phrase
from rockpress.cli.result_screen import ResultScreen, show_report
from rockpress.convert.chips.targets import TARGET_NAMES, find_target
from rockpress.convert.manifest import manifest_path, read_manifest, write_manifest
from rockpress.core.diagnostics import Diagnostic, mentioned, option, render, speaking
from rockpress.core.results.model_figures import QuantizationFigure
from rockpress.core.results.report import GateFigure, Report
from rockpress.core.results.sample_rows import DriftRow
from rockpress.pipeline.options.option_table import options_of
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.report.formats import rendered
from rockpress.report.text import next_steps
from rockpress.report.text.latency_text import rate_note
from rockpress.report.text.verdict import target_verdict
from sample_reports import layer

SCREENS = Path(__file__).with_name("screens")
PROGRAM = Path(__file__).parents[1] / "support" / "result_reports.py"
WIDTHS = (60, 80, 120, 200)
# of xterm: black, red, green, yellow, cyan, white
COLOURS = {
    **{0: (0, 0, 0), 1: (205, 0, 0), 2: (0, 205, 0), 3: (205, 205, 0)},
    **{6: (0, 205, 205), 7: (229, 229, 229)},
}


def screens(width: int, *variables: str) -> dict[str, str]:
    texts = printed(PROGRAM, width, *variables).split(NEXT_REPORT)
    return dict(zip(REPORTS, texts, strict=False))


@pytest.mark.parametrize("name", REPORTS)
def test_the_screen_is_what_it_was(name: str) -> None:
    require_as_before(
        SCREENS / f"{name}.txt", {width: screens(width)[name] for width in (*WIDTHS, LOG)}
    )


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_terminal_or_broken_within_a_word(name: str, width: int) -> None:
    lines = CODE.sub("", screens(width)[name]).splitlines()
    assert max(map(len, lines)) <= width
    words = set(screens(LOG)[name].split())
    tables = [line for line in lines if re.search("  |─|…", line.strip())]
    told = [line for line in lines if line not in tables]
    assert {word for line in told for word in line.split()} <= words


@pytest.mark.parametrize("name", REPORTS)
def test_the_verdict_comes_first_with_the_words_of_every_format(name: str) -> None:
    shown = REPORTS[name]
    lines = [str(target_verdict(target)) for target in shown.targets]
    assert screens(LOG)[name].splitlines()[: len(lines)] == lines
    for suffix in (".md", ".html", ".xml"):
        text = re.sub(r"\\|&#x?\w+;|&\w+;|['\"]|<!-- -->", "", rendered(shown, suffix))
        for line in lines:
            assert re.sub("['\"<>]", "", line) in text


@pytest.mark.parametrize("name", REPORTS)
def test_what_next_and_what_fps_hold_is_said_alike_everywhere(name: str) -> None:
    shown = REPORTS[name]
    assert shown.next
    screen = screens(LOG)[name]
    page, text = (unescape(rendered(shown, suffix)) for suffix in (".html", ".md"))
    text = re.sub(r"\\(.)", r"\1", text)
    for step in shown.next:
        assert f"- {step}\n" in screen and f"<li>{step}</li>" in page and f"- {step}\n" in text
    note = rate_note(row for target in shown.targets for row in target.models)
    assert note in screen and note in page and note in text
    assert rendered(shown, ".json").count('"next": [') == 1


def test_colours_can_be_read_on_any_background() -> None:
    dark, light = (printed(PROGRAM, 80, f"COLORFGBG={value}") for value in ("15;0", "0;15"))
    assert dark == light == printed(PROGRAM, 80)
    codes = {tuple(map(int, code.split(";"))) for code in CODE.findall(dark) if code}
    pairs = {code[1:] for code in codes if len(code) > 1}
    # bold, and a colour only with a background of its own
    assert {code for code in codes if len(code) == 1} <= {(0,), (1,)}
    assert len(pairs) == 4
    for front, back in pairs:
        assert contrast(COLOURS[front - 30], COLOURS[back - 40]) >= 4.5


def contrast(front: tuple[int, ...], back: tuple[int, ...]) -> float:
    """As WCAG has it."""
    shares = [0.2126, 0.7152, 0.0722]
    values = []
    for colour in (front, back):
        parts = [part / 255 for part in colour]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        values.append(sum(share * part for share, part in zip(shares, linear, strict=True)))
    return (max(values) + 0.05) / (min(values) + 0.05)


def test_colours_are_as_the_environment_has_it() -> None:
    assert "\x1b" not in printed(PROGRAM, LOG)
    assert "\x1b[1;30;42mPASS" in printed(PROGRAM, LOG, "FORCE_COLOR=1")
    plain = printed(PROGRAM, 80, "NO_COLOR=1")
    assert not re.search(r"\x1b\[[\d;]*[34]\d", plain)
    assert CODE.sub("", plain) == CODE.sub("", printed(PROGRAM, 80))


@pytest.mark.parametrize(("is_terminal", "is_verbose", "count"), [(1, 0, 3), (1, 1, 5), (0, 0, 5)])
def test_a_terminal_gets_the_warnings_that_matter_most(
    is_terminal: int,
    is_verbose: int,
    count: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = ("cache-folder", "cpu-fallback-layer", "calibration-copies", "toolkit-nan", "x-last")
    warned = replace(PASSED, warnings=tuple(Diagnostic(code, f"of {code}") for code in codes))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: bool(is_terminal))
    monkeypatch.setenv("NO_COLOR", "1")
    show_report(report(warned), ResultScreen(verbose=bool(is_verbose)))
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert len([line for line in lines if line.startswith("warning: ")]) == count
    assert lines[0] == "warning: of toolkit-nan [toolkit-nan]"
    assert lines[count:] == ([] if count == 5 else ["2 more: --verbose shows them"])
    assert "said above: toolkit-nan, calibration-copies" in streams.out


# What to do next

MOSTLY_FLOAT16 = replace(
    PASSED,
    quantization=QuantizationFigure("gptq", 24, {"gptq": 24.8}, floating=111),
    layers=(layer(1, 0.2), replace(layer(2, 0.5), dtype="FLOAT16")),
)

ALL = tuple(described.flag for described in options_of("run"))
DRIFT = DriftRow("pruned", None, None, 0.8, -0.1, 0.9, 20.0, 20.0)
POOR = replace(PASSED, retention=replace(PASSED.retention, value=0.9), gates=())
SLOW = GateFigure("max-latency-ms", 1.0, 1.46, False)
FASTER = Diagnostic(
    "toolkit-faster-build",
    "a build at level 3 is estimated 1.20 ms instead of 1.46, on the first samples 3.1 dB "
    "further from the float model",
    f"{option('toolkit-level', 3)} takes it",
)
SITUATIONS: dict[str, tuple[Report, str]] = {
    "--mixed sqnr=25": (report(POOR), "leave in float16"),
    "--scheme w8a16": (report(replace(POOR, target="rk3562"), mixed="sqnr=25"), "16 bits"),
    "--scheme float16": (report(POOR, mixed="sqnr=25"), "without int8"),
    "--recover distill": (report(replace(POOR, drift=(DRIFT,))), "lost by pruning"),
    "--prune": (report(replace(POOR, drift=(DRIFT,)), recover="distill"), "lost by pruning"),
    "--scheme  float16": (REPORTS["slower"], "float16 is better here"),
    "--toolkit-level 3": (
        report(replace(PASSED, warnings=(FASTER,))),
        "a build at level 3 is estimated",
    ),
    "--eval": (REPORTS["no-labels"], "tell the accuracy"),
    "--eval ": (REPORTS["detector"], "leave it open"),
    "--min-retention 0.98": (REPORTS["no-gate"], "a gate keeps it so"),
    "--max-drop 0.01": (REPORTS["pass"], "at a cost that only a trial tells"),
    "--outputs a": (REPORTS["slower"], "55% of the time is on the CPU, most of it in /model.17"),
    "--prune latency=-32%": (report(replace(PASSED, gates=(SLOW,))), "may meet max-latency-ms"),
    "--mixed off": (report(MOSTLY_FLOAT16), "71% of the time is in layers that stay in float16"),
    "--toolkit-level 2": (
        report(
            replace(
                PASSED,
                warnings=(Diagnostic("board-joined", "joined", option("toolkit-level", 2)),),
            )
        ),
        "the board first",
    ),
    "--outputs /model.22/Mul_2,scores": (REPORTS["dead"], "the outputs first"),
}


def steps_of(shown: Report, options: tuple[str, ...] = ALL) -> list[str]:
    return next_steps.next_steps(shown, lambda name: find_target(name).dtypes, options)


@pytest.mark.parametrize("words", SITUATIONS)
def test_what_is_advised_is_a_line_that_the_command_takes(words: str, tmp_path: Path) -> None:
    shown, beginning = SITUATIONS[words]
    with speaking(command_phrase):
        steps = [(step, render(step)) for step in steps_of(shown)]
    (step,) = [pair for pair in steps if beginning in pair[1]]
    asked = words.strip().replace("  ", " ")
    assert asked in step[1]
    model = tmp_path / "m.onnx"
    model.touch()
    value = [] if " " in asked else {"--eval": [str(tmp_path)], "--prune": ["macs=-10%"]}[asked]
    line = [str(model), "--calib", str(tmp_path), *shlex.split(asked), *value]
    command = typer.main.get_command(run_command.app)
    with command.make_context("run", line):
        pass
    for name, given in mentioned(step[0]):
        if given is not None:
            make_recipe(model, **{name.replace("-", "_"): given})


def test_every_rule_has_a_situation() -> None:
    rules = {rule.__name__ for rule in next_steps.RULES}
    for shown in (*REPORTS.values(), *(shown for shown, _ in SITUATIONS.values()), MISFED):
        for target in shown.targets:
            if target.error is None:
                schemes = find_target(str(target.target)).dtypes
                case = next_steps.Situation(target, shown.recipe, schemes)
                rules -= {rule.__name__ for rule in next_steps.RULES if rule(case)}
    assert rules == set()


MISFED = report(
    replace(PASSED, warnings=(Diagnostic("preprocess-scale", "0 to 1", "mean and std in 0..255"),))
)


FEW = Diagnostic("retention-too-few-samples", "12 samples are few", f"more: {option('eval')}")
RUNTIME = Diagnostic("board-differs", "other values", "install librknnrt.so 2.5.0 there")
LOOK = Diagnostic("board-differs", "other values", f"{option('layers')} of a check says more")
SEEN = replace(LOOK, hint="")
JOINED = Diagnostic("board-joined", "joined", f"build it with {option('toolkit-level', 2)}")
ON_ITS_LAYER = Diagnostic("board-layer", "c5 differs", f"end it earlier: {option('outputs')}")


@pytest.mark.parametrize(
    ("warnings", "step"),
    [
        ((RUNTIME,), RUNTIME),
        ((LOOK,), LOOK),
        ((SEEN, ON_ITS_LAYER), ON_ITS_LAYER),
        ((SEEN, JOINED), JOINED),
        ((RUNTIME, JOINED), RUNTIME),
    ],
)
def test_a_board_that_computes_otherwise_comes_first(
    warnings: tuple[Diagnostic, ...], step: Diagnostic
) -> None:
    """Neither more samples nor other numbers mend it; its option may be of another command."""
    broken = Diagnostic("outputs-broken", "dead", f"take {option('scheme', 'float16')}")
    target = replace(POOR, warnings=(FEW, broken, *warnings))
    options = tuple(name for name in ALL if name not in {"toolkit-level", "layers"})
    steps = [render(each) for each in steps_of(report(target), options)]
    assert steps[0] == render(f"the board first: {step.hint}")
    assert not [each for each in steps[1:] if "leave" in each or "float16" in each]


def test_more_samples_do_not_mend_outputs_that_are_broken() -> None:
    dead = REPORTS["dead"].targets[0]
    steps = steps_of(report(replace(dead, warnings=(*dead.warnings, FEW))))
    assert not [step for step in steps if "leave it open" in step]


def test_a_limit_that_is_far_away_is_not_for_pruning() -> None:
    far = replace(SLOW, limit=0.1)
    (step,) = [one for one in steps_of(report(replace(PASSED, gates=(far,)))) if "meets" in one]
    assert "no pruning alone meets max-latency-ms" in step


def test_the_preprocessing_comes_before_the_rest() -> None:
    assert steps_of(MISFED)[0] == "the preprocessing first: mean and std in 0..255"


def test_labels_are_asked_for_before_more_samples() -> None:
    unlabelled = replace(REPORTS["no-labels"].targets[0], warnings=(FEW,))
    steps = [step for step in steps_of(report(unlabelled)) if "eval" in step]
    assert steps == [f"labelled samples tell the accuracy: {option('eval')}"]
    labelled = steps_of(report(replace(PASSED, warnings=(FEW,))))
    assert "the samples leave it open: more: --eval" in labelled


def test_why_there_are_no_programs_for_the_board_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rknn = rknn_with_manifest(tmp_path / "m.rknn", [])
    built = replace(PASSED, models=(*PASSED.models[:3], replace(PASSED.models[3], path="m.rknn")))

    def step() -> str:
        show_report(report(built), ResultScreen(folder=tmp_path))
        return next(line for line in capsys.readouterr().out.splitlines() if "on the board" in line)

    path = manifest_path(rknn)
    assert step() == f"- how to feed it on the board: rockpress inspect {rknn}"
    write_manifest(replace(read_manifest(path), target="rv1106"), path)
    assert "rockpress inspect" in step()
    assert "(there are no programs for it: the runtime of rv1106 is another one than" in step()
    write_manifest(replace(read_manifest(path), target="rk3588", rknn_batch_size=4), path)
    assert step().endswith("(there are no programs for it: the .rknn takes 4 samples together)")


def test_options_that_a_command_lacks_are_not_advised() -> None:
    check = tuple(described.flag for described in options_of("check"))
    assert any("mixed" in step for step in steps_of(report(POOR)))
    assert not any("mixed" in step for step in steps_of(report(POOR), check))


@pytest.mark.parametrize("chip", TARGET_NAMES)
def test_a_number_format_that_a_chip_lacks_is_not_advised(chip: str) -> None:
    slow = replace(REPORTS["slower"].targets[0], target=chip)
    for shown in (report(replace(POOR, target=chip), mixed="sqnr=25"), report(slow)):
        for step in steps_of(shown):
            for name, value in mentioned(step):
                assert name != "scheme" or value in find_target(chip).dtypes


def test_what_is_most_needed_comes_first_and_no_more_than_four() -> None:
    for shown in REPORTS.values():
        assert len(steps_of(shown)) <= next_steps.MOST
    assert steps_of(REPORTS["several"])[0].startswith("rk3588: leave in float16")


def test_a_metric_where_less_is_better_is_lost_where_it_grows() -> None:
    grown = tuple(replace(DRIFT, stage=stage, change=change) for stage, change in CER)
    retention = replace(POOR.retention, metric="cer", difference=0.04)
    worse = replace(POOR, retention=retention, drift=grown)
    assert "lost by pruning" in steps_of(report(worse))[0]


CER = (("pruned", 0.04), ("quantized", -0.001))
