"""Write docs/report-page.webp, the picture of the HTML report in the README, from a report.

make picture
.venv/bin/python docs/report_picture.py build/demo/report.html
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "support"))

from browser import browser_page  # noqa: E402

FILE = Path(__file__).with_name("report-page.webp")
WIDTH, HEIGHT = 1060, 1180


def write_picture(report: Path) -> None:
    """Write the top of a report's page, as it looks on a desktop."""
    with browser_page() as page:
        page.show(WIDTH, HEIGHT)
        page.open(report.resolve())
        page.frame()
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
        FILE.write_bytes(page.picture(format="webp", quality=80, clip=clip))


if __name__ == "__main__":
    write_picture(Path(*sys.argv[1:2] or ["build/demo/report.html"]))
