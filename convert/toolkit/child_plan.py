"""A plan put into the file of the toolkit's hybrid quantization, for child.py.

That loads this file by its path, so it imports only the standard library and what the toolkit has.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def write_plan(config: Path, plan: dict[str, Any]) -> list[str]:
    """Put the plan's ranges and types into the toolkit's file; return the tensors it knows.

    Only min and max may be changed of a tensor; its scale and zero point follow from them.
    """
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)  # the default one rounds some floats when it writes
    document = yaml.load(config.read_text(encoding="utf-8"))
    parameters, types = document["quantize_parameters"], plan["types"]
    carried: set[str] = set()
    for alias, names in _planned(parameters, plan).items():
        alike = _alike(parameters[alias], plan, names[0])
        bounds = next((plan["ranges"][name] for name in names if name in plan["ranges"]), None)
        if bounds and parameters[alias]["scale"]:
            parameters[alias]["min"], parameters[alias]["max"] = [bounds[0]], [bounds[1]]
            carried.update(names, alike)
        # of what is moved, the layer that computes it decides
        kind = types.get(alias if alias in names else (*alike, *names)[0])
        if kind is not None and not alias.endswith("_int8"):
            document["custom_quantize_layers"][alias] = kind
            carried.update(names, alike)
    with config.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return sorted(carried)


def _planned(parameters: dict[str, Any], plan: dict[str, Any]) -> dict[str, list[str]]:
    """The toolkit's name of a tensor -> those of the plan that hold the same values.

    The quantized form of an input or output is a tensor of its own, ``<name>_int8``. What a matrix
    product makes may be called ``<name>_mm``, as it becomes a convolution, what has not four axes
    ``<name>-rs`` or ``<name>_rs``, once it has, and what is transposed for it ``<name>_tp``. What
    has another name yet is told by its lowest and highest value on the calibration samples.
    """
    names = {*plan["ranges"], *plan["types"]}
    planned: dict[str, list[str]] = {}
    for name in sorted(names):
        form = re.compile(re.escape(name) + r"(_mm|[-_]rs|_tp)*(_int8)?")
        forms = [alias for alias in parameters if alias not in names and form.fullmatch(alias)]
        for alias in {name, *forms, plan["aliases"].get(name)} & parameters.keys():
            planned.setdefault(alias, []).append(name)
    unknown = {
        alias: _alike(parameters[alias], plan) for alias in parameters.keys() - planned.keys()
    }
    return {**planned, **{alias: alike for alias, alike in unknown.items() if alike}}


def _alike(parameter: dict[str, Any], plan: dict[str, Any], name: str | None = None) -> list[str]:
    """The planned tensors whose lowest and highest values are the same, up to rounding.

    Where the toolkit has measured none, as of weights alone, they are those of the ``name``.
    """
    own = [values[0] for values in map(parameter.get, ("ori_min", "ori_max")) if values]
    own = own or list(plan["measured"].get(name, ()))
    if len(own) < 2 or own[0] == own[1]:
        return []
    tolerance = 1e-4 * max(map(abs, own))
    return [
        name
        for name, (low, high) in plan["measured"].items()
        if max(abs(low - own[0]), abs(high - own[1])) <= tolerance
    ]
