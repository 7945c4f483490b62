"""Build the bundled sample set from the Fashion-MNIST files.

Writes into the output folder:

* ``fashion_mnist_calib.npz``: ``images`` uint8 (256, 28, 28), from the training split;
* ``fashion_mnist_test.npz``: ``images`` uint8 (1000, 28, 28) and ``labels`` int64 (1000,),
  100 images a class, from the test split;
* ``LICENSE.fashion-mnist`` and ``README.md``.

On Debian and Ubuntu the four input files come with ``apt install dataset-fashion-mnist``.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

DEFAULT_DATA = Path("/usr/share/datasets/fashion-mnist")
DEFAULT_OUT = Path(__file__).resolve().parent.parent / "calibration_data" / "samples"

NUM_CLASSES = 10
CALIB_COUNT = 256
TEST_PER_CLASS = 100

# The third byte of an idx header is the element type (8: unsigned byte), the fourth the rank.
IDX_UBYTE = 8

ImageArray = npt.NDArray[np.uint8]
LabelArray = npt.NDArray[np.int64]

LICENSE_TEXT = """\
The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a
copy of this software and associated documentation files (the "Software"),
to deal in the Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, sublicense,
and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included
in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS
OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.
IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

README_TEXT = """\
# Bundled samples

Images: Fashion-MNIST by Zalando SE (upstream: zalandoresearch/fashion-mnist), taken from the
Debian package `dataset-fashion-mnist`, MIT licence (`LICENSE.fashion-mnist`).

- `fashion_mnist_calib.npz`: `images` uint8 (256, 28, 28), class-stratified, **training** split.
  Calibration uses no labels, so none are stored.
- `fashion_mnist_test.npz`: `images` uint8 (1000, 28, 28), `labels` int64 (1000,), 100 a class,
  shuffled, **test** split. For evaluation only; no image is shared with training or calibration.
- `fashion_mnist_cnn.onnx`: small float32 CNN trained on the 60,000 training images;
  `image` (1, 1, 28, 28) to `logits` (1, 10). Preprocess with `--mean 73 --std 90`, that is
  x = (pixel - 73) / 90 with pixels in 0..255.

Rebuilt, after `apt install dataset-fashion-mnist`, with:

    python examples/build_sample_set.py
    python examples/train_demo_model.py
"""


def read_idx(path: Path) -> ImageArray:
    """Read a gzip-compressed idx file of unsigned bytes, of any rank, in its stored shape."""
    raw = gzip.decompress(path.read_bytes())
    if len(raw) < 4 or raw[:3] != bytes((0, 0, IDX_UBYTE)):
        raise ValueError(f"{path}: not an idx file of unsigned bytes")
    rank = raw[3]
    header = 4 + 4 * rank
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", count=rank, offset=4))
    if len(raw) - header != int(np.prod(shape)):
        raise ValueError(f"{path}: {len(raw) - header} data bytes do not fill shape {shape}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def load_split(folder: Path, prefix: str) -> tuple[ImageArray, LabelArray]:
    """Return images uint8 (N, 28, 28) and labels int64 (N,); prefix is ``train`` or ``t10k``."""
    images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz").astype(np.int64)
    if images.shape[0] != labels.shape[0]:
        raise ValueError(f"{folder}: {images.shape[0]} images but {labels.shape[0]} labels")
    return images, labels


def stratified_indices(
    labels: LabelArray, total: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Choose ``total`` distinct indices into labels (N,), spread evenly over the classes.

    When ``total`` is no multiple of the class count, the first classes give one image more.
    The indices come back in shuffled order, so any prefix is close to balanced as well.
    """
    base, extra = divmod(total, NUM_CLASSES)
    chosen = []
    for cls in range(NUM_CLASSES):
        members = np.flatnonzero(labels == cls)
        chosen.append(rng.choice(members, base + (cls < extra), replace=False))
    return rng.permutation(np.concatenate(chosen)).astype(np.int64)


def build(data: Path, out: Path, seed: int) -> list[Path]:
    """Write the four files into ``out`` and return their paths."""
    rng = np.random.default_rng(seed)
    train_images, train_labels = load_split(data, "train")
    test_images, test_labels = load_split(data, "t10k")
    calib = stratified_indices(train_labels, CALIB_COUNT, rng)
    test = stratified_indices(test_labels, TEST_PER_CLASS * NUM_CLASSES, rng)

    out.mkdir(parents=True, exist_ok=True)
    names = ("fashion_mnist_calib.npz", "fashion_mnist_test.npz")
    np.savez_compressed(out / names[0], images=train_images[calib])
    np.savez_compressed(out / names[1], images=test_images[test], labels=test_labels[test])
    (out / "LICENSE.fashion-mnist").write_text(LICENSE_TEXT, encoding="utf-8")
    (out / "README.md").write_text(README_TEXT, encoding="utf-8")
    return [out / name for name in (*names, "LICENSE.fashion-mnist", "README.md")]


def main() -> None:
    """Command line entry point."""
    parser = argparse.ArgumentParser(description="Build the bundled Fashion-MNIST sample set.")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the idx files")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write into")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of images")
    args = parser.parse_args()
    for path in build(args.data, args.out, args.seed):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
