"""The sample set and the small model that come with rockpress, for the demo and the tests."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ..core.errors import SamplesError
from .preprocess import Preprocess

CALIBRATION = "fashion_mnist_calib.npz"
TEST = "fashion_mnist_test.npz"
MODEL = "fashion_mnist_cnn.onnx"

# mean and standard deviation of the training pixels, rounded, as the model was trained with
DEMO_PREPROCESS = Preprocess(size=(28, 28), color="gray", mean=(73.0,), std=(90.0,))


def sample_path(name: str) -> Path:
    """Return the path of a bundled file: CALIBRATION, TEST or MODEL. Raises SamplesError."""
    path = Path(str(files(__package__).joinpath("samples").joinpath(name)))
    if not path.is_file():
        raise SamplesError(f"{path}: the bundled file is missing", "install rockpress again")
    return path
