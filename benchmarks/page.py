"""How long a browser takes to show the HTML report of a model with thousands of layers.

An empty page is loaded in turn, so that a machine that slows down slows both. Then the graph is
moved 60 times, near and seen whole: what a step takes is from one drawn frame to the next. The
model is a chain of residual blocks and joins of three branches.

    python benchmarks/page.py [LAYERS [REPETITIONS]]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "support"))

from browser import BrowserPage, browser_page  # noqa: E402
from rockpress.core.results.graph_rows import GraphNode  # noqa: E402
from rockpress.core.results.layer_rows import LayerRow, LayerTime  # noqa: E402
from rockpress.report.html.page import to_html  # noqa: E402
from sample_reports import GOOD, report  # noqa: E402

LAYERS, REPETITIONS = 5000, 5
EMPTY = "<!doctype html><html lang=en><title>empty</title><p>nothing</html>\n"
MOVES = """(async () => {
  const canvas = document.querySelector(".graph canvas"), times = [];
  canvas.scrollIntoView();
  const frame = () => new Promise(done => requestAnimationFrame(done));
  for (let step = 0; step < 60; step++) {
    const key = step % 2 ? "ArrowUp" : "ArrowDown";
    const begin = await frame();
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey: true }));
    await frame();
    times.push(await frame() - begin);
  }
  return times.map(time => time / 2);
})()"""


def graph_of(count: int) -> Iterator[GraphNode]:
    """Yield that many nodes: blocks of eight, with a residual sum and a join of three branches."""
    yield GraphNode("input", "Input", layers=(0,))
    for place in range(1, count):
        start = place - (place - 1) % 8 - 1
        reads = {
            3: (start, place - 1),
            5: (place - 2,),
            6: (place - 3,),
            7: (place - 3, place - 2, place - 1),
        }.get(place - start - 1, (place - 1,))
        name = f"/model/layers.{place // 8}/block/conv{place % 8}/Conv"
        operators = (f"Conv {name}", f"Relu {name[:-4]}Relu")
        yield GraphNode(name, "ConvRelu", operators, reads, (place,), 20 + place % 30)


def page_of(count: int) -> str:
    """Return a report with that many layers in the table and in the graph."""
    nodes = tuple(graph_of(count))
    shape = ((1, 64, 56, 56),)
    rows = tuple(
        LayerRow(
            *(index, node.op, "INT8" if index % 9 else "FLOAT16", "NPU", shape, shape),
            *(index, index, index),
            name=f"Conv:{node.name}",
            weight_bytes=0,
            feature_bytes=0,
            sparse_ratio=0.0,
            sparse_axis=None,
            ms=1 / (1 + index % 97),
            bound="memory",
        )
        for index, node in enumerate(nodes)
    )
    before = tuple(LayerTime(row.name, row.total_cycles, 2 * (row.ms or 0)) for row in rows)
    target = replace(GOOD, layers=rows, graph=nodes, reference_layers=before)
    return to_html(report(target))


def load_seconds(page: BrowserPage, file: Path) -> float:
    """Return the seconds from the address to the first frame with all of it."""
    start = time.perf_counter()
    page.open(file)
    page.frame()
    return time.perf_counter() - start


def moves_text(page: BrowserPage) -> str:
    """Return the median and the longest frame of 60 moves, in milliseconds."""
    times = page.value(MOVES)
    return f"median {statistics.median(times):.1f} ms, longest {max(times):.1f} ms"


def main(count: int, repetitions: int) -> None:
    """Print what both pages take, and what moving the graph takes."""
    start = time.perf_counter()
    text = page_of(count)
    print(f"{count} layers: {len(text) / 1e6:.1f} MB, made in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as folder, browser_page() as page:
        files = {"empty page": Path(folder, "empty.html"), "report": Path(folder, "report.html")}
        files["empty page"].write_text(EMPTY)
        files["report"].write_text(text)
        page.show(1400)
        times: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(repetitions):
            for name, file in files.items():
                times[name].append(load_seconds(page, file))
        for name, own in times.items():
            print(f"{name}: median {statistics.median(own):.2f} s, longest {max(own):.2f} s")
        print(f"a frame when the graph is moved, near: {moves_text(page)}")
        page.value("document.querySelector('.graph button[value=all]').click()")
        print(f"a frame when the graph is moved, seen whole: {moves_text(page)}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:3]]
    main(*numbers, *(LAYERS, REPETITIONS)[len(numbers) :])
