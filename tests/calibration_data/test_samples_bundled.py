from __future__ import annotations

import numpy as np
import pytest

from rockpress.calibration_data import bundled
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import open_samples
from rockpress.core.errors import SamplesError

INPUTS = {"image": (1, 1, 28, 28)}
AS_TRAINED = Preprocessing(mean=bundled.DEMO_PREPROCESS.mean, std=bundled.DEMO_PREPROCESS.std)


def test_the_test_set_is_labelled_and_balanced() -> None:
    samples = open_samples(bundled.sample_path(bundled.TEST), INPUTS, AS_TRAINED)
    assert samples.preprocess == bundled.DEMO_PREPROCESS
    assert len(samples) == 1000
    assert samples.labels is not None
    assert np.bincount(samples.labels.classes()).tolist() == [100] * 10
    taken = samples.take(50).labels
    assert taken is not None and np.bincount(taken.classes()).tolist() == [5] * 10


def test_the_calibration_set_is_unlabelled_and_normalised_by_the_demo_preprocess() -> None:
    samples = open_samples(bundled.sample_path(bundled.CALIBRATION), INPUTS, AS_TRAINED)
    assert len(samples) == 256 and samples.labels is None
    values = np.concatenate([feeds["image"] for feeds in samples])
    assert abs(float(values.mean())) < 0.1
    assert abs(float(values.std()) - 1) < 0.1


def test_a_missing_bundled_file_is_named() -> None:
    with pytest.raises(SamplesError, match=r"none\.npz: the bundled file is missing"):
        bundled.sample_path("none.npz")
