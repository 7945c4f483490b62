"""Settings of the toolkit that are handed on as they are: those that rockpress does not make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.diagnostics import option
from ...core.errors import OptionError

# what rockpress sets itself -> the option that it follows from, "" for none
OWN_SETTINGS = {
    "target_platform": "target",
    "mean_values": "mean",
    "std_values": "std",
    "quantized_dtype": "scheme",
    "quantized_algorithm": "toolkit-quantizer",
    "sparse_infer": "sparsity",
    "dynamic_input": "input",
    "optimization_level": "",
    "disable_rules": "",
}


def require_free_settings(config: Mapping[str, Any]) -> None:
    """Raise OptionError for a setting that rockpress makes itself."""
    for key, value in config.items():
        if key in OWN_SETTINGS:
            name = OWN_SETTINGS[key]
            raise OptionError(
                f"{option('toolkit-config', {key: value})} is for rockpress to set",
                f"it follows from {option(name)}" if name else "leave it out",
            )
