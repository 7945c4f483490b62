"""Files for make and for CI that ``rockpress init`` writes beside a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import Literal

from ..core.files import real_path
from ..core.text_files import MAX_TEXT_BYTES, read_whole
from .install_source import WHEELS, InstallSource

Ci = Literal["github", "gitlab", "none"]
CI_SERVICES: tuple[Ci, ...] = ("github", "gitlab", "none")
RECIPE = "rockpress.toml"
FRAGMENT = "rockpress.mk"
CI_FILES: Mapping[Ci, str] = {
    "github": ".github/workflows/rockpress.yml",
    "gitlab": "rockpress.gitlab-ci.yml",
}

MAKEFILE = f"""\
# For a Makefile: "include {FRAGMENT}", then "make rockpress". ROCKPRESS= names another command.
ROCKPRESS ?= rockpress

.PHONY: rockpress
rockpress: build/passed

# The report is written when a gate fails (exit code 4), too. So it is this file that says that all
# is well; the report is what the depfile has a rule for. -o goes before the recipe's output.
build/passed: build/report.json
\t$(ROCKPRESS) run {RECIPE} -o build --depfile build/report.d
\t@touch $@

build/report.json: {RECIPE}
\t@touch -c $@

-include build/report.d
"""

# What the toolkit asks for and an ONNX model does not need: torch with CUDA (5 GB), and an OpenCV
# that wants the libraries of a screen and overwrites the one without.
LEFT_OUT = ("torch; python_version < '3'", "opencv-python; python_version < '3'")
_INSTALL = """\
# uv can leave out what rknn-toolkit2 asks for and does not need here: torch with CUDA, 5 GB.
pip install uv
printf '%s\\n' {left_out} |
  uv pip install --system --overrides - {words}
"""
_WHEEL = (
    f"# rockpress is installed from its wheel in {WHEELS}/, which has to be in the repository.\n"
)

_GITHUB = f"""\
name: rockpress
on:
  push:
  pull_request:
jobs:
  model:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683  # v4.2.2
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065  # v5.6.0
        with:
          python-version: "3.11"
      - run: |
%s
      - run: >-
          rockpress run {RECIPE} --report build/summary.md --report build/report.html
          --report build/junit.xml
      - if: always()
        run: cat build/summary.md >> "$GITHUB_STEP_SUMMARY"
      - if: always()
        uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02  # v4.6.2
        with:
          name: rockpress
          path: build
"""

_GITLAB = f"""\
rockpress:
  image: python:3.11
  script:
    - |
%s
    - rockpress run {RECIPE} --report build/junit.xml --report build/report.html
  artifacts:
    when: always
    paths: [build]
    reports:
      junit: build/junit.xml
"""


def ci_text(service: Ci, source: InstallSource) -> str:
    """Return the file for a service that is not none, which installs rockpress from a source."""
    left_out = " ".join(f'"{requirement}"' for requirement in LEFT_OUT)
    lines = _INSTALL.format(left_out=left_out, words=source.words).rstrip()
    file, depth = (_GITHUB, 10) if service == "github" else (_GITLAB, 6)
    return (_WHEEL if source.project else "") + file % indent(lines, depth * " ")


def repository_of(folder: Path) -> Path | None:
    """Return the top of the repository that a folder is in, None outside of one."""
    here = real_path(folder)
    return next((top for top in (here, *here.parents) if (top / ".git").exists()), None)


def ci_of(folder: Path) -> Ci:
    """Return the service that a folder's repository uses, by its files or where it comes from."""
    top = repository_of(folder)
    if top is None:
        return "none"
    origin = b""
    with suppress(OSError):  # .git is a file in a work tree
        origin = read_whole(top / ".git" / "config", MAX_TEXT_BYTES)
    if (top / ".gitlab-ci.yml").is_file():
        return "gitlab"
    if (top / ".github").is_dir() or b"github" in origin:
        return "github"
    return "gitlab" if b"gitlab" in origin else "none"
