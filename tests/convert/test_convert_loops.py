"""Optimisation rules of the toolkit that undo each other's work: found out, and got round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import model_of
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import Limits, ToolkitLooped
from rockpress.convert.toolkit.job import ToolkitJob, run_job
from rockpress.convert.toolkit.process import RuleLoops
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db

pytestmark = pytest.mark.toolkit

_MOVE = "D     swap_a_b: remove node = ['r', 't'], add node = ['t', 'r']\n"
_BACK = "D     four_axes: remove node = [], add node = ['r', 't']\n"

needs_looping_toolkit = pytest.mark.skipif(
    toolkit_version() != "2.5.0", reason="its rules go round in a circle in 2.5.0 only"
)


@pytest.fixture
def attention(tmp_path: Path) -> Path:
    """The scores of attention on four images, with its projection and moves in int8."""
    weight = np.random.default_rng(0).integers(-126, 127, (16, 48)).astype(np.int8)
    model = model_of(
        """(float[4,8,16] x) => (float[4,2,8,8] y)
        <float s = {0.02}, int8 z = {3}, float w_s = {0.002}, int8 w_z = {0},
         int64[5] heads = {4, 8, 3, 2, 8}, int64 zero = {0}, int64 one = {1}> {
            x_q = QuantizeLinear(x, s, z)
            x_d = DequantizeLinear(x_q, s, z)
            w_d = DequantizeLinear(w, w_s, w_z)
            m = MatMul(x_d, w_d)
            m_q = QuantizeLinear(m, s, z)
            m_d = DequantizeLinear(m_q, s, z)
            r = Reshape(m_d, heads)
            r_q = QuantizeLinear(r, s, z)
            r_d = DequantizeLinear(r_q, s, z)
            t = Transpose <perm = [2, 0, 3, 1, 4]> (r_d)
            t_q = QuantizeLinear(t, s, z)
            t_d = DequantizeLinear(t_q, s, z)
            q = Gather <axis = 0> (t_d, zero)
            k = Gather <axis = 0> (t_d, one)
            k_q = QuantizeLinear(k, s, z)
            k_d = DequantizeLinear(k_q, s, z)
            k_t = Transpose <perm = [0, 1, 3, 2]> (k_d)
            y = MatMul(q, k_t)
        }""",
        {"w": weight},
        prepared=False,
    )
    onnx.save(model, tmp_path / "attention.onnx")
    return tmp_path / "attention.onnx"


@needs_looping_toolkit
def test_a_circle_of_rules_is_broken(attention: Path) -> None:
    sample = {"x": np.random.default_rng(1).normal(size=(4, 8, 16)).astype(np.float32)}
    made = convert(ConversionRequest(attention, None, "rk3588", simulate=[sample]))
    switched_off = [one.text for one in made.warnings if one.code == "toolkit-rule-disabled"]
    assert len(switched_off) == 1 and "swap_reshape_transpose" in switched_off[0]
    assert made.outputs is not None
    wanted = Session(onnx.load(attention), optimise=False).run(sample)[0]
    assert sqnr_db([wanted], [made.outputs[0][0]]) > 25


@needs_looping_toolkit
def test_a_circle_of_rules_is_told_long_before_the_time_is_up(
    attention: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    job = ToolkitJob(model=str(attention), config={"target_platform": "rk3588"})
    with pytest.raises(ToolkitLooped, match="runs again and again") as caught:
        run_job(job, folder, label="attention.onnx", limits=Limits(timeout=600, memory_gb=12))
    assert caught.value.rule.startswith("swap_reshape_transpose")


def test_lines_count_once_they_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"")
    loops = RuleLoops(log)
    with log.open("a") as growing:
        for _ in range(RuleLoops.MOST):
            growing.write(_BACK + _MOVE[:20])
            growing.flush()
            assert not loops.is_found()
            growing.write(_MOVE[20:])
        growing.write(_BACK)
        growing.flush()
        assert loops.is_found()
    assert loops.rule == "swap_a_b"  # the one that a model can do without


def test_a_rule_may_run_often_on_other_nodes(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(_MOVE.replace("'r'", f"'r{number}'") for number in range(1000)))
    loops = RuleLoops(log)
    assert not loops.is_found()
    assert loops.rule == ""
