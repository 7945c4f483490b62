"""Render lines of text, upright and upside down: a labelled set for a text-direction classifier.

Writes ``OUT/calib/*.png`` (unlabelled) and ``OUT/eval/0`` and ``OUT/eval/180`` (a folder a class:
upright, and turned by 180 degrees). The lines differ in words, size, margins, colours and noise,
and no line of the one set is in the other.

    python examples/render_text_lines.py --out build/lines
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    "invoice total amount date street number please return signed copy within thirty days "
    "temperature pressure valve closed open warning keep dry fragile this side delivery order "
    "chapter seven figure shows average monthly rainfall between north and south station "
    "made in quality inspected serial model voltage frequency Monday October Berlin Kyoto Lima "
    "No. 42 EUR 18.90 kg 7:45 A3 1998 2024 (draft) 100% page"
).split()
CLASSES = ("0", "180")


def render_line(random: np.random.Generator) -> Image.Image:
    """Return one upright line of words, 20 to 60 pixels high and as wide as its text needs."""
    return render_text(" ".join(random.choice(WORDS, random.integers(1, 5))), random)


def render_text(text: str, random: np.random.Generator) -> Image.Image:
    """Return the text in one of several sizes, margins and colours, with noise."""
    font = ImageFont.load_default(size=int(random.integers(16, 40)))
    left, top, right, bottom = font.getbbox(text)
    margin = random.integers(2, 9, 4)
    size = (int(right - left + margin[0] + margin[1]), int(bottom - top + margin[2] + margin[3]))
    paper, ink = int(random.integers(150, 256)), int(random.integers(0, 90))
    image = Image.new("RGB", size, tuple(paper - random.integers(0, 25, 3)))
    corner = (int(margin[0] - left), int(margin[2] - top))
    ImageDraw.Draw(image).text(corner, text, fill=(ink, ink, ink), font=font)
    noise = random.normal(0, random.uniform(0, 8), (*size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def write_lines(folder: Path, count: int, random: np.random.Generator) -> None:
    """Write ``count`` lines, every second one turned, without saying which."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = render_line(random)
        image.rotate(180 * (index % 2)).save(folder / f"{index:04}.png")


def write_labelled(folder: Path, count: int, random: np.random.Generator) -> None:
    """Write ``count`` lines into a folder for each class, half of them turned."""
    for index in range(count):
        label = CLASSES[index % 2]
        class_folder = folder / label
        class_folder.mkdir(parents=True, exist_ok=True)
        render_line(random).rotate(int(label)).save(class_folder / f"{index:04}.png")


def main() -> None:
    """Write both sets, seeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/lines"))
    parser.add_argument("--calib-count", type=int, default=128)
    parser.add_argument("--eval-count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_lines(options.out / "calib", options.calib_count, np.random.default_rng(options.seed))
    write_labelled(
        options.out / "eval", options.eval_count, np.random.default_rng([options.seed, 1])
    )


if __name__ == "__main__":
    main()
