"""Every error that rockpress raises on purpose.

Anything else that reaches the handler in cli/ is a bug of ours and exits with 3.
A gate that does not hold is a result, not an error: it exits with 4.
"""

from __future__ import annotations

from .diagnostics import Diagnostic

# what the error of a command says that somebody else, or the system, has killed
FROM_OUTSIDE = "was ended from outside (SIGKILL)"
# what every error says that a package more on this machine would mend
NOT_INSTALLED = "is not installed"


class Interrupted(SystemExit):
    """A signal ends the command; an exit that anybody else asked for is no such thing."""


class RockpressError(Exception):
    """One line that says what, where and the value seen, and a hint that says what to do.

    The user can mend it; the command exits with ``exit_code``.
    """

    exit_code = 1
    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.diagnostic = Diagnostic(self.code, message, hint, "error")

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """What went wrong, with options in the reader's words; see diagnostics.py."""
        return self.diagnostic.rendered().text

    @property
    def hint(self) -> str:
        """What to do, in the same words; empty when there is nothing to say."""
        return self.diagnostic.rendered().hint


class ModelError(RockpressError):
    """The ONNX model cannot be used: missing, truncated, dynamic, NaN, an unknown operator."""

    code = "model"


class SamplesError(RockpressError):
    """The calibration or labelled samples cannot be used: empty, corrupt, too large."""

    code = "samples"


class NotFiniteError(SamplesError):
    """What is computed from the samples is NaN or infinite."""


class NaNSampleError(SamplesError):
    """A sample, the ``index``-th of those that were read, gives NaN in a tensor."""

    def __init__(self, message: str, hint: str = "", *, index: int = 0, tensor: str = "") -> None:
        super().__init__(message, hint)
        self.index, self.tensor = index, tensor


class OptionError(RockpressError):
    """Options contradict each other, or do not fit the model or the target."""

    exit_code = 2
    code = "option"


class OutputError(RockpressError):
    """A file or folder cannot be written."""

    code = "output"


class TemporarySpaceError(OutputError):
    """A temporary file has no space, whatever there is where the outputs go."""


class ReportError(RockpressError):
    """A report or a record of runs cannot be read: it is none, or another schema's."""

    code = "report"


class PackageError(RockpressError):
    """An optional package, such as torch, is not installed."""

    code = "package"


class BoardError(RockpressError):
    """A board cannot be reached, or something failed there.

    ``fault`` names what it was, in kebab case; ``log`` is what the programs there printed.
    """

    code = "board"

    def __init__(self, message: str, hint: str = "", *, fault: str = "", log: str = "") -> None:
        super().__init__(message, hint)
        self.fault = fault
        self.log = log


class ClusterError(RockpressError):
    """A cluster cannot be reached, has no worker, or one that does not fit."""

    code = "cluster"


class ToolkitError(RockpressError):
    """rknn-toolkit2 is absent, or failed on this model.

    ``log`` is the toolkit's own output, for the log file; the message is in the user's terms.
    """

    code = "toolkit"

    def __init__(self, message: str, hint: str = "", log: str = "") -> None:
        super().__init__(message, hint)
        self.log = log
