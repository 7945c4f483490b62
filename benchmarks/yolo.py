"""A YOLO as it is exported, in int8, beside the cut at its heads and the toolkit's quantizers.

The model is the YOLOv8n of the package nudenet (320 x 320 pixels, 18 classes; AGPL, so it is
fetched and never bundled). Nobody has labelled these photographs, so agreement is measured: mAP50
with the float model's own boxes of a score of 0.2 or more as labels, in the simulator. Calibration
and test show other photographs, those of benchmarks/quantizations/photos.py. As exported it goes
through "rockpress run" with the size, letterbox, the scale of pixels and the metric alone.

    python benchmarks/yolo.py
    python benchmarks/yolo.py --quick
    python benchmarks/yolo.py --objects 60 --forms exported,cut

Needs pip's access to a package index, apt-get's and dpkg-deb, once. Each result is kept, so an
interrupted run goes on where it was. The toolkit's mmse gets fewer calibration samples, or it would
take hours. The table is Markdown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.conversions.models import Input, Model  # noqa: E402
from benchmarks.conversions.packages import model_file  # noqa: E402
from benchmarks.detectors.forms import Agreement, Form, agreement_of  # noqa: E402
from benchmarks.detectors.frames import (  # noqa: E402
    SIZE,
    objects_in,
    write_calibration,
    write_labelled,
)
from rockpress.pipeline.options.sample_options import ModelOptions  # noqa: E402
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe  # noqa: E402
from rockpress.pipeline.samples.ready_model import ready_model  # noqa: E402

NUDENET = Model(
    "nudenet-320n",
    "YOLOv8n, 18 classes",
    "nudenet",
    "3.4.2",
    "nudenet/320n.onnx",
    "AGPL-3.0",
    (Input("images", (1, 3, SIZE, SIZE), "photo", (0.0,), (255.0,)),),
)
HEADS = tuple(
    f"/model.22/cv{branch}.{scale}/cv{branch}.{scale}.2/Conv_output_0"
    for scale in range(3)
    for branch in (2, 3)
)
FORMS = {
    "exported": Form("rockpress, as exported"),
    "cut": Form("rockpress, raw heads", outputs=HEADS),
    "normal-exported": Form("toolkit normal, as exported", "normal"),
    "normal": Form("toolkit normal, raw heads", "normal", HEADS),
    "mmse": Form("toolkit mmse, raw heads", "mmse", HEADS, calib_count=16),
}
_QUICK = 40, "exported,cut"  # objects, forms


def main() -> int:
    """Measure what is missing, print the table."""
    args = _arguments()
    recipe, objects = _recipe(args)
    print("| form | mAP50 | of the float model's | SQNR dB, worst output | ms |")
    print("|---|---|---|---|---|")
    folder = args.work / f"{args.target}-{args.objects}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in args.forms.split(","):
        print(_row(FORMS[name].name, agreement_of(FORMS[name], recipe, folder)), flush=True)
    print(f"\nAgreement with the float model's boxes: {objects} objects, {args.target}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    work = ROOT / "build" / "yolo"
    parser.add_argument("-o", "--work", type=Path, default=work, help="folder of all files")
    parser.add_argument("--target", default="rk3588")
    parser.add_argument("--objects", type=int, default=300, help="at least so many in the test")
    parser.add_argument("--calib-count", type=int, default=100)
    every = ",".join(FORMS)
    parser.add_argument("--forms", default=every, help=f"separated by commas, of {every}")
    parser.add_argument("--quick", action="store_true", help="few objects, rockpress's forms alone")
    args = parser.parse_args()
    if args.quick:
        args.objects, args.forms = _QUICK
    if unknown := set(args.forms.split(",")) - set(FORMS):
        parser.error(f"no {', '.join(sorted(unknown))}; there are: {every}")
    return args


def _recipe(args: argparse.Namespace) -> tuple[Recipe, int]:
    """Return what a user would ask for, and how many objects there are."""
    model = model_file(NUDENET, args.work)
    ready = ready_model(model, ModelOptions(size=(SIZE, SIZE)))
    frames = write_labelled(ready.model, args.objects, args.work)
    recipe = make_recipe(
        model,
        calib=write_calibration(args.calib_count, args.work),
        eval=frames,
        size=[SIZE, SIZE],
        resize="letterbox",
        std=255,
        metric="map50",
        target=args.target,
    )
    return recipe, objects_in(frames)


def _row(name: str, row: Agreement) -> str:
    kept = f"{row.retention:.3f} ({row.low:.3f} to {row.high:.3f})" if row.retention else ""
    ms = "" if row.ms is None else f"{row.ms:.2f}"
    return f"| {name} | {row.value:.3f} | {kept} | {row.sqnr_db:.1f} | {ms} |"


if __name__ == "__main__":
    sys.exit(main())
