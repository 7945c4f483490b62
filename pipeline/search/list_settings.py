"""Values of options that are lists, as the text that a point holds them as."""

from __future__ import annotations

import json
from typing import Any

from ...core.results.tune_report import Setting


def setting_of(value: Any) -> Setting:
    """Return a value of a recipe as a point has it: of a list its JSON.

    >>> setting_of([168, 224]), setting_of("mse")
    ('[168, 224]', 'mse')
    """
    return json.dumps(list(value)) if isinstance(value, (list, tuple)) else value


def value_of(setting: Setting) -> Any:
    """Return what a recipe has for the value of a point.

    >>> value_of("[168, 224]"), value_of("mse"), value_of(None)
    ([168, 224], 'mse', None)
    """
    if isinstance(setting, str) and setting.startswith("["):
        return json.loads(setting)
    return setting
