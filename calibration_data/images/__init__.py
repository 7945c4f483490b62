"""One image: decoded, resized, and drawn small for a report."""
