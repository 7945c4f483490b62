"""Render labelled sets for a text recogniser and a text detector, and read its character set.

Writes ``OUT/lines/calib`` (images of lines), ``OUT/lines/eval`` (images and labels.csv with what
they say), ``OUT/pages/calib`` (pages of lines) and ``OUT/pages/eval`` (images/, and in labels/ the
box of each line as YOLO text). With ``--model`` it also writes ``OUT/keys.txt``: the characters
that a recogniser of PaddleOCR holds in its metadata.

    python examples/render_text_sets.py --out build/text --model ch_PP-OCRv4_rec_infer.onnx
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from render_text_lines import WORDS, render_text

PAGE = (320, 320)


def write_lines(folder: Path, count: int, random: np.random.Generator) -> None:
    """Write images of one or two words, and a table of their texts."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        text = " ".join(random.choice(WORDS, random.integers(1, 3)))
        render_text(text, random).save(folder / f"{index:04}.png")
        rows.append((f"{index:04}.png", text))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("path", "label"), *rows])


def render_page(random: np.random.Generator) -> tuple[Image.Image, list[tuple[float, ...]]]:
    """Return a page of three to five lines, and their boxes (centre, sides) in shares of it."""
    paper, ink = int(random.integers(180, 256)), int(random.integers(0, 80))
    page = Image.new("RGB", PAGE, (paper, paper, int(random.integers(150, 256))))
    draw = ImageDraw.Draw(page)
    boxes = []
    top = int(random.integers(10, 40))
    for _ in range(random.integers(3, 6)):
        font = ImageFont.load_default(size=int(random.integers(18, 30)))
        text = " ".join(random.choice(WORDS, random.integers(1, 3)))
        left = int(random.integers(10, 60))
        x1, y1, x2, y2 = draw.textbbox((left, top), text, font=font)
        if x2 > PAGE[0] - 5 or y2 > PAGE[1] - 5:
            continue
        draw.text((left, top), text, fill=(ink, ink, ink), font=font)
        boxes.append(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
        top = int(y2 + random.integers(14, 40))
    noise = random.normal(0, random.uniform(0, 6), (*PAGE[::-1], 3))
    noisy = np.clip(np.asarray(page) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(noisy), [tuple(value / PAGE[0] for value in box) for box in boxes]


def write_pages(images: Path, labels: Path | None, count: int, random: np.random.Generator) -> None:
    """Write pages, and their boxes where ``labels`` is a folder."""
    for folder in (images, labels):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        page, boxes = render_page(random)
        page.save(images / f"{index:04}.png")
        if labels is not None:
            lines = [" ".join(["0", *(f"{value:.6f}" for value in box)]) for box in boxes]
            (labels / f"{index:04}.txt").write_text("\n".join(lines) + "\n")


def write_keys(model: Path, path: Path) -> None:
    """Write the characters of a recogniser, one a line."""
    import onnx

    metadata = {entry.key: entry.value for entry in onnx.load(str(model)).metadata_props}
    path.write_text(metadata["character"].removesuffix("\n") + "\n", encoding="utf-8")


def main() -> None:
    """Write all sets, seeded; no line or page of one is in the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/text"))
    parser.add_argument("--calib-count", type=int, default=64)
    parser.add_argument("--eval-count", type=int, default=200)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out, seed = options.out, options.seed
    write_lines(out / "lines/calib", options.calib_count, np.random.default_rng(seed))
    (out / "lines/calib/labels.csv").unlink()  # calibration needs none
    write_lines(out / "lines/eval", options.eval_count, np.random.default_rng([seed, 1]))
    pages = np.random.default_rng([seed, 2])
    write_pages(out / "pages/calib", None, options.calib_count, pages)
    write_pages(out / "pages/eval/images", out / "pages/eval/labels", options.eval_count, pages)
    if options.model:
        write_keys(options.model, out / "keys.txt")


if __name__ == "__main__":
    main()
