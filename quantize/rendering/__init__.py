"""The quantization plan, and the QDQ model that is one rendering of it."""
