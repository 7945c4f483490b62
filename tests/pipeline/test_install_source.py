"""What CI installs to have the rockpress that is here: an index's, a commit, or a wheel."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from rockpress.pipeline.install_source import WHEELS, InstallSource, install_source, source_of

BY_WHEEL = f"{WHEELS}/rockpress-*.whl"


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of a repository with one commit, whose remote is then called what a test calls it."""
    first, clone = tmp_path / "first", tmp_path / "my clone"
    first.mkdir()
    git(first, "init", "-q")
    (first / "pyproject.toml").touch()
    git(first, "add", ".")
    git(first, "commit", "-q", "-m", "first")
    git(tmp_path, "clone", "-q", str(first), str(clone))
    return clone


def of_checkout(folder: Path, *, editable: bool = True) -> InstallSource:
    return source_of({"url": folder.as_uri(), "dir_info": {"editable": editable}}, "0.1.0")


@pytest.mark.parametrize(
    "origin",
    ["https://me:secret@x.org/a/b.git", "git@x.org:a/b.git", "ssh://git@x.org:2222/a/b.git"],
)
def test_a_checkout_is_its_commit_over_https(origin: str, checkout: Path) -> None:
    git(checkout, "remote", "set-url", "origin", origin)
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").touch()  # which is not git's
    expected = InstallSource(f"'rockpress @ git+https://x.org/a/b.git@{commit}'")
    assert of_checkout(checkout) == of_checkout(checkout, editable=False) == expected


def test_a_checkout_that_others_do_not_have_is_a_wheel(checkout: Path) -> None:
    of_clone = of_checkout(checkout)  # of a folder on this machine
    assert of_clone == InstallSource(BY_WHEEL, str(checkout))
    git(checkout, "remote", "set-url", "origin", "https://x.org/a/b")
    (checkout / "pyproject.toml").write_text("changed")
    assert of_checkout(checkout) == of_clone
    git(checkout, "commit", "-q", "-a", "-m", "not pushed")
    assert of_checkout(checkout) == of_clone
    git(checkout, "push", "-q", str(checkout.parent / "first"), "HEAD:refs/heads/other")
    git(checkout, "update-ref", "refs/remotes/origin/other", "HEAD")
    assert "git+https://x.org/a/b@" in of_checkout(checkout).words


def test_a_folder_without_git_is_a_wheel(tmp_path: Path) -> None:
    assert of_checkout(tmp_path) == InstallSource(BY_WHEEL, str(tmp_path))


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ({}, InstallSource("rockpress==0.1.0")),
        (
            {"url": "https://x.org/a", "vcs_info": {"vcs": "git", "commit_id": "f00"}},
            InstallSource("'rockpress @ git+https://x.org/a@f00'"),
        ),
        (
            {"url": "file:///srv/a", "vcs_info": {"vcs": "git", "commit_id": "f00"}},
            InstallSource(BY_WHEEL, "git+file:///srv/a@f00"),
        ),
        (
            {"url": "https://a:b@x.org/rockpress-0.1.0-py3-none-any.whl", "archive_info": {}},
            InstallSource("'rockpress @ https://x.org/rockpress-0.1.0-py3-none-any.whl'"),
        ),
        (
            {"url": "file:///a%20b/rockpress-0.1.0-py3-none-any.whl", "archive_info": {}},
            InstallSource(
                f"{WHEELS}/rockpress-0.1.0-py3-none-any.whl",
                "/a b/rockpress-0.1.0-py3-none-any.whl",
            ),
        ),
        (
            {"url": "file:///a/rockpress-0.1.0.tar.gz", "archive_info": {}},
            InstallSource(BY_WHEEL, "/a/rockpress-0.1.0.tar.gz"),
        ),
    ],
)
def test_what_pip_noted(noted: dict[str, Any], expected: InstallSource) -> None:
    assert source_of(noted, "0.1.0") == expected


def test_a_wheel_is_put_where_ci_has_it_from(tmp_path: Path) -> None:
    """By pip, which copies a wheel as it builds a project."""
    wheel = tmp_path / "a b" / "rockpress-0.1.0-py3-none-any.whl"
    source = source_of({"url": wheel.as_uri(), "archive_info": {}}, "0.1.0")
    assert source.put_wheel(tmp_path) == f"pip wheel --no-deps -w {tmp_path} '{wheel}'"


def test_this_one_has_a_source() -> None:
    assert "rockpress" in install_source().words
