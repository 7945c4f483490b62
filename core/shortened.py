"""Names that are too long for their column."""

from __future__ import annotations

_GAP = "…"


def shortened(text: str, width: int) -> str:
    """Return the text in ``width`` characters, what is too much left out of its middle.

    The end says more than the beginning in the names of layers, so more of it stays.

    >>> shortened("/model.22/cv2.0/conv/Conv", 16), shortened("stem", 16)
    ('/model…conv/Conv', 'stem')
    """
    if len(text) <= width:
        return text
    begin = max(0, width - len(_GAP)) * 2 // 5
    end = max(0, width - len(_GAP) - begin)
    return text[:begin] + _GAP + text[len(text) - end :]
