"""``doctor --board``: what a board has, on one screen, and whether that is enough."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import Run
from ssh_board import ssh_board
from stand_in_board import NPU, StandInBoard, built_runtime

DEVICE = "/dev/dri/renderD129"


def test_a_board_that_has_all_is_one_screen(board: StandInBoard, rockpress: Run) -> None:
    done = rockpress("doctor", "--board", "local")
    assert done.code == 0, done.err
    for text in ("Stand-in Board, rk3588", "0.9.8", DEVICE, "2.3.2", "1000 of 1000 MHz"):
        assert text in done.out
    for text in ("rknpu_ondemand", "7 %", "6.14 GB available of 8.2 GB", "42 °C", "all fit"):
        assert text in done.out
    assert "not yet run on silicon by us" in done.out
    assert len(done.out.splitlines()) <= 30


def test_over_ssh_it_is_the_same(
    board: StandInBoard, rockpress: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = rockpress("doctor", "--board", "local")
    with ssh_board(tmp_path / "ssh") as server:
        server.environment(board.environment)
        monkeypatch.setenv("PATH", server.search_path)
        remote = rockpress("doctor", "--board", server.address)
        assert server.left() == []
    without_python = [
        [line for line in done.out.splitlines() if "python" not in line] for done in (local, remote)
    ]
    assert without_python[0] == without_python[1]


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("/proc/device-tree/compatible", "raspberrypi,5\0brcm,bcm2712\0", "no Rockchip chip"),
        ("/proc/device-tree/compatible", "maker,x\0rockchip,rk3399\0", "rk3399"),
        ("/proc/meminfo", "MemTotal: 512000 kB\nMemAvailable: 9000 kB\n", "0.01 GB available"),
        (DEVICE, None, "no device of the NPU's driver"),
    ],
)
def test_what_is_not_enough_is_exit_code_1(
    board: StandInBoard, rockpress: Run, path: str, text: str | None, line: str
) -> None:
    board.path(path).unlink() if text is None else board.write(path, text)
    done = rockpress("doctor", "--board", "local")
    assert done.code == 1
    assert line in done.out and "NO" in done.out
    assert "a model will not run there as it is" in done.out


@pytest.mark.parametrize("version", ["1.4.0", "1.5.0"])
def test_a_runtime_from_before_toolkit_2_is_too_old(
    board: StandInBoard, rockpress: Run, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("ROCKPRESS_LIBRKNNRT", str(built_runtime(version)))
    done = rockpress("doctor", "--board", "local")
    assert done.code == 1 and "copy a newer one there" in done.out


def test_a_render_node_of_the_gpu_is_not_the_npu(board: StandInBoard, rockpress: Run) -> None:
    uevent = "/sys/class/drm/renderD129/device/uevent"
    board.write(uevent, "DRIVER=RKNPU\nOF_NAME=npu\n")
    assert rockpress("doctor", "--board", "local").code == 0
    board.write(uevent, "DRIVER=panthor\nOF_NAME=gpu\n")
    board.path("/sys/kernel/debug/rknpu/version").unlink()
    done = rockpress("doctor", "--board", "local")
    assert done.code == 1 and "no device of the NPU's driver" in done.out
    assert "root alone" not in done.out


def test_what_is_worth_knowing_is_a_note(board: StandInBoard, rockpress: Run) -> None:
    board.write(f"{NPU}/cur_freq", "300000000\n")
    board.write("/sys/kernel/debug/rknpu/load", "NPU load:  Core0: 60%, Core1:  0%, Core2:  0%,\n")
    board.write("/sys/kernel/debug/rknpu/version", "RKNPU driver: v0.8.2\n")
    board.write("/sys/class/thermal/thermal_zone0/temp", "91000\n")
    done = rockpress("doctor", "--board", "local")
    assert done.code == 0
    for text in ("below its maximum", "something else uses it", "0.8.8 or later", "cool first"):
        assert text in done.out


def test_what_cannot_be_read_is_said_so(board: StandInBoard, rockpress: Run) -> None:
    for folder in ("sys", "proc/meminfo"):
        path = board.root / folder
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = rockpress("doctor", "--board", "local")
    assert done.code == 0
    assert done.out.count("root alone") == 2 and done.out.count("cannot be read") >= 2


def test_a_program_gets_the_values(board: StandInBoard, rockpress: Run) -> None:
    document = json.loads(rockpress("doctor", "--board", "local", "--json").out)
    assert document["ok"] is True and document["board"]["chip"] == "rk3588"
    assert {fact["name"] for fact in document["facts"]} >= {"permission", "memory"}


def test_a_board_that_is_not_there_is_an_error(rockpress: Run) -> None:
    done = rockpress("doctor", "--board", "ssh://127.0.0.1:1")
    assert done.code == 1 and "refuses the connection" in done.err and "hint: " in done.err
    assert rockpress("doctor", "--board", "ssh://-oProxyCommand=x").code == 2
