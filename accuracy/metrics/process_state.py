"""What all code of the process shares, and a user's code may have cleared or changed."""

from __future__ import annotations

import builtins
import os
import sys
import warnings
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np


class ProcessState:
    """The state as it was when this was made; what was added to it since may stay."""

    def __init__(self) -> None:
        # None is a stream that was closed when the program began
        self._streams = sys.stdout, sys.stderr, sys.excepthook
        self._folder = _working_folder()
        self._environment, self._variables = os.environ, os.environ.copy()
        self._modules, self._imported = sys.modules, dict(sys.modules)
        self._names = dict(vars(builtins))
        self._finders = list(sys.path), list(sys.meta_path), list(sys.path_hooks)
        self._recursion = sys.getrecursionlimit()
        self._settings = ExitStack()
        self._settings.enter_context(warnings.catch_warnings())
        self._settings.enter_context(np.errstate())

    def put_back(self) -> None:
        """Let it be so again; names and modules first, which all else may need.

        Raises OSError where the working folder is gone.
        """
        vars(builtins).update(self._names)
        sys.modules = self._modules
        sys.modules.update(self._imported)
        path, finders, hooks = self._finders
        sys.path = _with_all_of(path, sys.path)
        sys.meta_path = _with_all_of(finders, sys.meta_path)
        sys.path_hooks = _with_all_of(hooks, sys.path_hooks)
        sys.setrecursionlimit(self._recursion)
        self._settings.close()
        sys.stdout, sys.stderr, sys.excepthook = self._streams
        os.environ = self._environment  # noqa: B003  (the object that clears it, if it was replaced)
        for name, value in self._variables.items():
            os.environ.setdefault(name, value)
        if self._folder and _working_folder() != self._folder:
            os.chdir(self._folder)


def _with_all_of(before: list[Any], now: Any) -> list[Any]:
    """Return the list of now, and at its end what is no more in it."""
    present = now if isinstance(now, list) else []
    return [*present, *(item for item in before if item not in present)]


def _working_folder() -> str:
    with suppress(FileNotFoundError):  # it was removed
        return os.getcwd()
    return ""
