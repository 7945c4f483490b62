"""Files that end in .html: the report as one page to look at."""

from ..html.page import to_html as render

__all__ = ["render"]
