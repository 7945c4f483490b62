"""Files that end in .json: the report as one versioned document."""

from ..documents.document import to_json as render

__all__ = ["render"]
