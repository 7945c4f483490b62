"""A ``.rknn`` built again from what its manifest names, as the file alone cannot be simulated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..calibration_data.preprocess import Preprocess
from ..calibration_data.samples import Samples
from ..convert.chips.targets import find_target
from ..convert.convert import Conversion
from ..convert.manifest import Manifest, is_of, manifest_path, read_manifest, verify_files
from ..convert.request import ConversionRequest
from ..core.diagnostics import Diagnostic, option
from ..core.errors import ModelError
from ..core.graphs.model import load_model
from ..quantize.rendering.plan import read_plan
from .options.convert_options import ToolkitOptions
from .tasks.converting import NpuFeeds, PreparedFeeds, conversion_request
from .tasks.installed_toolkit import require_toolkit
from .tasks.plan_handover import ranges_of

# what a request and the manifest of what came of it call alike
_AS_BUILT = ("level", "disabled", "sparse", "rknn_batch_size", "input_sets", "config")
# what our own files say completely; the toolkit's own quantizers need their samples again
OWN = ("qdq", "float16")


@dataclass(frozen=True)
class Rebuildable:
    """A ``.rknn`` by what it is built from again."""

    manifest: Manifest
    source: Path
    plan: Path | None

    @property
    def is_own(self) -> bool:
        """Whether its files are all that is needed, and no calibration samples."""
        return self.manifest.quantization in OWN

    @property
    def is_quantized(self) -> bool:
        """Whether what it is built from is a quantized ONNX model."""
        return self.manifest.quantization == "qdq"

    def request(
        self,
        options: ToolkitOptions,
        preprocess: Preprocess | None,
        calib: Samples | None,
        simulated: NpuFeeds | PreparedFeeds,
    ) -> ConversionRequest:
        """Return the request to build it as it was built, and to simulate it on samples.

        Raises RockpressError.
        """
        own, manifest = self.is_own, self.manifest
        hybrid = self.plan if manifest.quantization == "hybrid" else None
        ranges = ranges_of(read_plan(hybrid), load_model(self.source)) if hybrid else None
        target = find_target(manifest.target)
        return replace(
            conversion_request(options, self.source, None, target, preprocess),
            quantization="auto" if own else manifest.quantization,
            dtype=None if own else manifest.dtype,
            calibration=() if own or calib is None else NpuFeeds(calib),
            simulate=simulated,
            plan=ranges,
            **{name: getattr(manifest, name) for name in _AS_BUILT},
        )


def open_rebuildable(
    rknn: Path, options: ToolkitOptions, *, needs_toolkit: bool = True
) -> Rebuildable:
    """Return what a ``.rknn`` is built from again.

    Raises RockpressError, naming a file that is missing or has changed, also without the toolkit
    where it is needed.
    """
    if not rknn.is_file():
        raise ModelError(f"{rknn}: the file does not exist", "give the path of a .rknn file")
    if needs_toolkit:
        require_toolkit(options.toolkit_python)
    manifest = read_manifest(manifest_path(rknn))
    if not is_of(manifest, rknn):
        raise ModelError(
            f"{rknn} is not the file that {manifest_path(rknn).name} was written for: it "
            "was changed, cut short or replaced",
            "convert the model again, or keep each .rknn with its own manifest",
        )
    files = verify_files(manifest, rknn.parent)
    source = files.get("intended") or files.get("model")
    if source is None:
        raise ModelError(
            f"{manifest_path(rknn)}: names no model to build the .rknn from again",
            "convert the model again",
        )
    return Rebuildable(manifest, source, files.get("plan"))


def version_warnings(manifest: Manifest, rebuilt: Conversion) -> Iterator[Diagnostic]:
    """Yield a warning where another version of the toolkit built it again."""
    if rebuilt.toolkit != manifest.toolkit:
        yield Diagnostic(
            "toolkit-other-version",
            f"the .rknn was made by rknn-toolkit2 {manifest.toolkit}, and what is compared was "
            f"built again by {rebuilt.toolkit}",
            f"name a Python that has {manifest.toolkit} with {option('toolkit-python')}",
        )
