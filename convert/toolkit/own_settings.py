"""Settings of the toolkit that are handed on as they are: those that rockpress does not make."""

from __future__ import annotations

import json
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
    "optimization_level": "toolkit-level",
    "disable_rules": "",
}

_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}


def require_free_settings(config: Mapping[str, Any]) -> None:
    """Raise OptionError for a setting that rockpress makes itself."""
    for key, value in config.items():
        if key in OWN_SETTINGS:
            name = OWN_SETTINGS[key]
            raise OptionError(
                f"{option('toolkit-config', {key: value})} is for rockpress to set",
                f"it follows from {option(name)}" if name else "leave it out",
            )


def refused_setting(kind: str, text: str, version: str) -> tuple[str, str]:
    """Return message and hint for a setting that the child process has refused.

    ``text`` is its traceback, ``kind`` the exception in it: UnknownSetting or MistypedSetting.
    """
    reason = text.strip().splitlines()[-1].partition(": ")[2]
    if kind == "UnknownSetting":
        name, _, free = reason.partition(" is none of: ")
        left = ", ".join(each for each in free.split(", ") if each not in OWN_SETTINGS)
        message = f"{option('toolkit-config')}: rknn-toolkit2 {version} has no setting {name!r}"
        return message, f"it has {left}"
    name, value, expected = json.loads(reason)
    described = _KINDS.get(expected, expected)
    return (
        f"{option('toolkit-config', {name: value})}: rknn-toolkit2 {version} takes {described} "
        "for it",
        f"give {described}, or leave it out for the toolkit's default",
    )
