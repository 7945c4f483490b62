"""Folders that tests share."""

from __future__ import annotations

import os

import pytest


def folder_of_all_workers(tmp_path_factory: pytest.TempPathFactory, name: str) -> str:
    """Return the path of a folder that is one for all processes that pytest-xdist starts."""
    folder = tmp_path_factory.getbasetemp()
    return str((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name)
