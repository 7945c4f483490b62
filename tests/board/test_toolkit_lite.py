"""The real rknn-toolkit-lite2 on a board that qemu plays: what it makes of a file of ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qemu_board import ON_QEMU, QemuBoard

pytestmark = ON_QEMU
PIXELS = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
SCORES = np.arange(-5, 5, dtype=np.int8).reshape(1, 10)
_START = """
import json, sys
import numpy as np
from rknnlite.api import RKNNLite
rknn = RKNNLite()
said = [rknn.load_rknn(sys.argv[1])]
said += rknn.list_support_target_platform(sys.argv[1])["filled_target_platform"]
"""
_INFER = """
said.append(rknn.init_runtime(core_mask=RKNNLite.NPU_CORE_2))
said.append(rknn.inference([np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)])[0].tolist())
print("\\n" + json.dumps(said))
"""
_FAIL = """
said.append(rknn.init_runtime())
print("\\n" + json.dumps(said))
"""


@pytest.fixture
def board(tmp_path: Path) -> QemuBoard:
    return QemuBoard(tmp_path / "board")


def test_it_reads_the_chip_and_takes_pixels(board: QemuBoard, real_rknn: Path) -> None:
    board.set(answers=board.answer([PIXELS], [SCORES]))
    done = board.run("python3", "-c", _START + _INFER, real_rknn)
    real = ((SCORES.astype(np.float32) - 3) * 0.5).tolist()
    assert json.loads(done.stdout.splitlines()[-1]) == [0, "rk3588", 0, real], done.stderr


def test_why_it_does_not_start_stands_in_its_words_alone(board: QemuBoard, real_rknn: Path) -> None:
    board.set(fail_rknn_init=-6)
    done = board.run("python3", "-c", _START + _FAIL, real_rknn)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, "rk3588", -1], done.stderr
    assert "RKNN_ERR_MODEL_INVALID" in done.stderr
