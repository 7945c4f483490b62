"""What is to be told: one value for warnings and errors, which names options as values.

A text may hold options, each put in by ``option``. Where it is shown they are said in the reader's
own words: on the command line as ``--calib``, in a recipe as ``calib``, in Python as ``calib=``.
"""

from __future__ import annotations

import math
import re
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["warning", "error"]
# (name of an option, its value or None) -> how the reader would write it
Phrase = Callable[[str, Any], str]

# of the private use area, so that no text of a model or a user has them by chance
_OPEN, _CLOSE = "\ue000", "\ue001"
_LONGEST_VALUE, _LONGEST_TEXT = 200, 2000
# a mention of an option as it is, or a value in quotes (no apostrophe), or a word that is too long
_LONG_VALUE = re.compile(
    f"({_OPEN}[^{_CLOSE}]*{_CLOSE})"
    r"|(?<![^\s(\[{=:,])(?:'[^']{199,}'|\"[^\"]{199,}\")"
    f"|[^\\s/{_OPEN}{_CLOSE}]{{201,}}"
)
_MENTION = re.compile(f"{_OPEN}(\\[[^{_CLOSE}]*\\]){_CLOSE}")


@dataclass(frozen=True)
class Diagnostic:
    """A stable kebab-case code, what was seen, what to do, and what it is about.

    ``subject`` is the tensor, file or target that the text speaks of, where it is one.
    """

    code: str
    text: str
    hint: str = ""
    severity: Severity = "warning"
    subject: str = ""

    def __str__(self) -> str:
        said = self.rendered()
        return f"{said.text} ({said.hint})" if said.hint else said.text

    def rendered(self) -> Diagnostic:
        """Return the same with its options said in the reader's words."""
        text, hint = (render(shortened(words)) for words in (self.text, self.hint))
        return replace(self, text=text, hint=hint)


# What a warning of some code costs, the dearest first: the first beginning that fits is its place.
_BY_COST = (
    # what comes out is dead, not finite, or nothing comes out
    *(
        "outputs-",
        "toolkit-output-",
        "toolkit-nan",
        "float16-overflow",
        "weight-underflow",
        "toolkit-regtask",
        "board-differs",
    ),
    *("toolkit-operator", "toolkit-opset", "retention-class-lost", "retention-low-similarity"),
    "robustness-lost",
    # all figures are of inputs that the model was not made for
    *("preprocess-scale", "preprocess-color", "preprocess-mean-std", "preprocess-resize"),
    *("preprocess-layout", "preprocess-chance", "preprocess-undecided", "preprocess-"),
    # ranges and figures are of samples that do not tell enough
    *("calibration-", "evaluation-", "retention-"),
    # int8 cannot hold what is there
    *("output-", "fusion-", "mixed-", "plan-"),
    # it is not quite what was asked for
    *("toolkit-fidelity", "toolkit-crash", "toolkit-refusal", "toolkit-plan", "pruning-"),
    *("refit-", "training-", "option-", "weight-dequantized", "model-types"),
    *("toolkit-other-version", "baseline-", "compare-"),
    # it is slower than need be, or nobody knows how slow
    *(
        "result-",
        "latency-",
        "board-",
        "toolkit-rule-disabled",
        "toolkit-sparse",
        "toolkit-",
        "cpu-fallback-",
    ),
    # nothing but comfort
    *("tune-", "cache-", "depfile-", "robustness-"),
)
# what was foretold -> what the build has shown instead
_SHOWN_BY = {"cpu-fallback-operator": "cpu-fallback-layer"}


def in_order(warnings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the warnings by what they cost, each once: the first of a code about a subject.

    What was foretold is left out where the build has shown what came of it.

    >>> twice = [Diagnostic("cpu-fallback-layer", "a"), Diagnostic("toolkit-nan", "b")] * 2
    >>> [warning.text for warning in in_order(twice)]
    ['b', 'a']
    """
    first: dict[tuple[str, str], Diagnostic] = {}
    for warning in warnings:
        first.setdefault((warning.code, warning.subject), warning)
    codes = {code for code, _ in first}
    left = (warning for warning in first.values() if _SHOWN_BY.get(warning.code) not in codes)
    return tuple(sorted(left, key=lambda warning: cost_rank(warning.code)))


def cost_rank(code: str) -> int:
    """Return the place of a code among all by what it costs, 0 for the dearest."""
    begins = (place for place, begin in enumerate(_BY_COST) if code.startswith(begin))
    return next(begins, len(_BY_COST))


def option(name: str, value: Any = None) -> str:
    """Return the mention of an option for a text, with a ``value`` where it matters.

    ``name`` is the long name on the command line without its dashes, ``value`` a plain JSON value
    as a recipe holds it: text, a number, a list, or a table with one key.

    >>> render(f"give more with {option('calib-count', 64)}")
    'give more with calib_count=64'
    """
    return f"{_OPEN}{[name, _plain(value)]!r}{_CLOSE}"


def python_phrase(name: str, value: Any) -> str:
    """Say an option as a keyword argument.

    >>> python_phrase("mixed", "cycles=+8%"), python_phrase("calib", None)
    ("mixed='cycles=+8%'", 'calib=')
    """
    return f"{name.replace('-', '_')}={'' if value is None else repr(value)}"


_phrase: Phrase = python_phrase


@contextmanager
def speaking(phrase: Phrase) -> Iterator[None]:
    """Say all options in the words of ``phrase`` meanwhile, in the whole process as a locale is."""
    global _phrase
    before, _phrase = _phrase, phrase
    try:
        yield
    finally:
        _phrase = before


def mentions(text: str) -> list[str]:
    """Return the names of the options in a text that is not rendered yet."""
    return [name for name, _ in mentioned(text)]


def mentioned(text: str) -> list[tuple[str, Any]]:
    """Return the options in such a text, each with its value, None where it names none.

    >>> mentioned(f"give {option('mean', [127.5])}, or {option('eval')}")
    [('mean', [127.5]), ('eval', None)]
    """
    pairs = (literal_eval(match[1]) for match in _MENTION.finditer(text))
    return [(name, value) for name, value in pairs]


def render(text: str) -> str:
    """Return the text with every option said in the reader's words."""
    return _MENTION.sub(lambda match: _phrase(*literal_eval(match[1])), text)


def shortened(text: str) -> str:
    """Return a text, not rendered yet, in which no value of somebody else's is endless.

    A value in quotes, or a word that is no path, has 200 characters; all together has 2,000.

    >>> len(shortened(f"{'x' * 99_999!r} is no size")), shortened("as it is")
    (211, 'as it is')
    """
    text = _LONG_VALUE.sub(lambda match: match[1] or _cut(match[0], _LONGEST_VALUE), text)
    return text if _OPEN in text else _cut(text, _LONGEST_TEXT)


def _cut(text: str, longest: int) -> str:
    """Leave out the middle of what is too long; a quote at the end stays."""
    half = (longest - 3) // 2
    return text if len(text) <= longest else f"{text[: longest - 3 - half]}...{text[-half:]}"


def _plain(value: Any) -> Any:
    """Return a value that its ``repr`` gives back, which no other module has to be loaded for."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return value if value is None or type(value) in (bool, int, str) else str(value)
