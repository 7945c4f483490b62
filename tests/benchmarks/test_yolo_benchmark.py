"""Labels of the detector's benchmark: what the float model finds, as YOLO text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.detectors.frames import SIZE, labels_of, objects_in
from rockpress.accuracy.metrics.detections import Detections


def test_boxes_become_shares_of_the_frame(tmp_path: Path) -> None:
    corners = np.array([[0.0, 80.0, 160.0, 240.0], [-20.0, 0.0, SIZE + 20.0, SIZE / 2]])
    lines = labels_of(Detections(corners, np.array([0.9, 0.3]), np.array([3, 17])))
    assert lines == ["3 0.25000 0.50000 0.50000 0.50000\n", "17 0.50000 0.25000 1.00000 0.50000\n"]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0000.txt").write_text("".join(lines))
    (tmp_path / "labels" / "0001.txt").write_text("")
    assert objects_in(tmp_path) == 2
