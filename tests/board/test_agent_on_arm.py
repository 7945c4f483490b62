"""The agent on the Python of a board that qemu plays, over ssh: the whole way but for silicon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qemu_board import ON_QEMU, QemuBoard
from rockpress.board.board_session import BenchSettings, open_board
from ssh_board import SshBoard, ssh_board

pytestmark = ON_QEMU
PIXELS = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
BENCH = BenchSettings(10, 3, (1, 3), cores=3, drift_runs=10, energy_seconds=0)
SCORES = np.arange(-5, 5, dtype=np.int8).reshape(1, 10)


@pytest.fixture
def board(tmp_path: Path) -> QemuBoard:
    return QemuBoard(tmp_path / "board")


@pytest.fixture
def server(tmp_path: Path, board: QemuBoard, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshBoard]:
    with ssh_board(tmp_path / "ssh") as server:
        monkeypatch.setenv("PATH", server.search_path)
        server.environment({**board.environment, "PATH": f"{board.bin}:{os.environ['PATH']}"})
        yield server


def test_a_model_is_run_and_measured(board: QemuBoard, server: SshBoard, model: Path) -> None:
    board.set(answers=board.answer([PIXELS], [SCORES]), run_us=20_000, first_run_us=90_000)
    with open_board(server.address) as session:
        facts = session.facts()
        loaded = session.load(model)
        (stored,) = session.infer([PIXELS])
        timings = session.bench(BENCH)
    assert (facts.arch, facts.board, facts.chip) == ("aarch64", "Stand-in Board", "rk3588")
    assert facts.runtime_path == "/usr/lib/librknnrt.so"
    assert (facts.runtime, facts.toolkit_lite, facts.driver) == ("2.3.2", "2.5.0", "0.9.8")
    assert facts.conditions.npu is not None and facts.conditions.npu.hz == 10**9
    assert loaded.inputs[0].shape == (1, 8, 8, 3)
    assert (stored.array == SCORES).all() and (stored.scale, stored.zero_point) == (0.5, 3)
    # so long the stand-in sleeps on average; what qemu adds is its own
    assert timings.first_run_ms > 85 and np.mean(timings.run_ms) > 18
    assert {len(times) for times in timings.rounds} == {10}
    assert [(rate.contexts, rate.cores, rate.problem) for rate in timings.contexts] == [
        (1, 1, None),
        (3, 3, None),
    ]
    server.wait_until_clean()
