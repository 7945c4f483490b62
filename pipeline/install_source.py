"""Where this rockpress comes from, as what a CI service installs to have the same."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import unquote, urlsplit

WHEELS = "wheels"  # the folder of the user's repository that has the wheel, where one is needed
_PACKAGE = "rockpress"
_SCP = re.compile(r"[\w.-]+@([\w.-]+):(?!//)(.+)")  # git@host:path


@dataclass(frozen=True)
class InstallSource:
    """What CI installs, as words for a shell.

    Where that is a wheel in the user's repository, ``project`` is what pip makes or copies it from.
    """

    words: str
    project: str = ""

    def put_wheel(self, folder: Path) -> str:
        """Return the command that puts the wheel into a folder."""
        return f"pip wheel --no-deps -w {quote(str(folder))} {quote(self.project)}"


def install_source() -> InstallSource:
    """Return what the running rockpress was installed from, by what pip noted of it (PEP 610).

    That is a version on an index, a commit of a git repository that others can reach, or a wheel.
    """
    root = Path(__file__).resolve().parent.parent
    try:
        installed = distribution(_PACKAGE)
    except PackageNotFoundError:  # run in place
        return source_of({"url": root.as_uri(), "dir_info": {}}, "")
    noted = installed.read_text("direct_url.json")
    return source_of(json.loads(noted) if noted else {}, installed.version)


def source_of(noted: dict[str, Any], version: str) -> InstallSource:
    """Return it by a ``direct_url.json``, which there is none of what came from an index.

    >>> source_of({}, "1.2")
    InstallSource(words='rockpress==1.2', project='')
    >>> vcs = {"vcs": "git", "commit_id": "abc"}
    >>> source_of({"url": "https://me:secret@x.org/a", "vcs_info": vcs}, "1.2").words
    "'rockpress @ git+https://x.org/a@abc'"
    """
    if not noted:
        return InstallSource(f"{_PACKAGE}=={version}")
    url = str(noted["url"])
    if commit := noted.get("vcs_info", {}).get("commit_id"):
        return _of_git(url, commit) or _of_wheel(f"git+{url}@{commit}")
    path = Path(unquote(urlsplit(url).path))
    if not url.startswith("file:"):
        return InstallSource(quote(f"{_PACKAGE} @ {_without_user(url)}"))
    if path.suffix == ".whl":
        return InstallSource(f"{WHEELS}/{quote(path.name)}", str(path))
    origin = _git(path, "remote", "get-url", "origin")
    return _of_git(origin, _published(path)) or _of_wheel(str(path))


def _of_git(url: str, commit: str) -> InstallSource | None:
    """Return a commit to install, None without one or without an address that others can reach."""
    address = _without_user(url)
    words = quote(f"{_PACKAGE} @ git+{address}@{commit}")
    return InstallSource(words) if address and commit else None


def _of_wheel(project: str) -> InstallSource:
    return InstallSource(f"{WHEELS}/{_PACKAGE}-*.whl", project)


def _without_user(url: str) -> str:
    """Return the address of a repository over https, as CI has no keys; "" of a local one.

    >>> _without_user("git@x.org:a/b.git"), _without_user("/srv/b")
    ('https://x.org/a/b.git', '')
    """
    if scp := _SCP.fullmatch(url):
        return f"https://{scp[1]}/{scp[2]}"
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{host}{parts.path}"
    return f"https://{parts.hostname}{parts.path}" if parts.scheme == "ssh" else ""


def _published(folder: Path) -> str:
    """Return the commit of a checkout; "" when it was changed since, or others do not have it."""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    commit = _git(folder, "rev-parse", "HEAD")
    has_remote = bool(commit) and bool(_git(folder, "branch", "--remotes", "--contains", commit))
    return commit if has_remote and not changed and (folder / ".git").exists() else ""


def _git(folder: Path, *words: str) -> str:
    """Return what a command of git prints; "" when it fails, or there is no git."""
    try:
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
