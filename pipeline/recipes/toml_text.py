"""Values as TOML writes them."""

from __future__ import annotations

import json
from typing import Any


def toml_text(value: Any) -> str:
    r"""Return a text, a number, a truth value or a list of them as TOML has it.

    JSON's escapes are TOML's too. What is beyond U+FFFF has none there, and DEL needs one.

    >>> toml_text(["a\"b", 1.5])
    '["a\\"b", 1.5]'
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
