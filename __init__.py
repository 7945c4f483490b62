"""Compress and quantize ONNX models for Rockchip NPUs.

The public functions are imported on first use, so ``import rockpress`` stays cheap:

>>> import rockpress
>>> rockpress.__version__.count(".")
2
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing would be most of what this imports
if TYPE_CHECKING:
    from .calibration_data.preprocessing import Preprocessing as Preprocessing
    from .core.errors import RockpressError as RockpressError
    from .core.progress import Progress as Progress
    from .core.results.report import Report as Report
    from .pipeline.caching.stage_cache import Cache as Cache
    from .pipeline.check import check as check
    from .pipeline.convert_file import convert_file as convert_file
    from .pipeline.convert_file import convert_files as convert_files
    from .pipeline.options.check_options import Gates as Gates
    from .pipeline.predict_file import predict as predict
    from .pipeline.prune_file import prune_file as prune_file
    from .pipeline.quantize_file import quantize_file as quantize_file
    from .pipeline.recipes.recipe import Recipe as Recipe
    from .pipeline.recipes.recipe import make_recipe as make_recipe
    from .pipeline.recipes.recipe_file import read_jobs as read_jobs
    from .pipeline.run import run as run
    from .report.documents.document import to_document as to_document

    __version__: str

# name -> the module that has it
_PUBLIC = {
    "Cache": ".pipeline.caching.stage_cache",
    "Gates": ".pipeline.options.check_options",
    "Progress": ".core.progress",
    "Preprocessing": ".calibration_data.preprocessing",
    "Recipe": ".pipeline.recipes.recipe",
    "Report": ".core.results.report",
    "RockpressError": ".core.errors",
    "check": ".pipeline.check",
    "convert_file": ".pipeline.convert_file",
    "convert_files": ".pipeline.convert_file",
    "make_recipe": ".pipeline.recipes.recipe",
    "predict": ".pipeline.predict_file",
    "prune_file": ".pipeline.prune_file",
    "quantize_file": ".pipeline.quantize_file",
    "read_jobs": ".pipeline.recipes.recipe_file",
    "run": ".pipeline.run",
    "to_document": ".report.documents.document",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from .core.version import rockpress_version

        return rockpress_version()
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
