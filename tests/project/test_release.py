"""What ``make release`` builds: the same bytes from the same commit, as an index takes it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from ruamel.yaml import YAML

pytestmark = pytest.mark.toolkit

# .ci, .dockerignore, .github and .gitignore are released; what else is hidden was made here
MADE_HERE = shutil.ignore_patterns(".[!cdg]*", ".git", "build", "dist", "*.egg-info", "__pycache__")
INSTRUCTION = re.compile(r"(FROM|COPY|RUN|ENV|WORKDIR|ENTRYPOINT|CMD) (.+)")


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)


@pytest.fixture(scope="session")
def source(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that is released: a commit of all that is here, or this one itself."""
    if "ROCKPRESS_DIST" in os.environ:
        return root
    copy = tmp_path_factory.mktemp("release") / "source"
    shutil.copytree(root, copy, ignore=MADE_HERE)
    git(copy, "init", "-q")
    git(copy, "add", ".")
    git(copy, "commit", "-q", "-m", "all")
    return copy


def release(folder: Path, *tag: str, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / ".ci" / "release", *tag],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        umask=umask,
    )


@pytest.fixture(scope="session")
def released(source: Path) -> Path:
    """The folder with the wheel and the source archive."""
    if built := os.environ.get("ROCKPRESS_DIST"):
        return source / built
    done = release(source)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


@pytest.fixture(scope="session")
def version(pyproject_text: str) -> str:
    (version,) = re.findall(r'^version = "(.*)"$', pyproject_text, re.MULTILINE)
    return str(version)


@pytest.fixture(scope="session")
def pyproject_text(root: Path) -> str:
    return (root / "pyproject.toml").read_text()


def test_a_release_is_a_wheel_and_an_archive(released: Path, version: str) -> None:
    names = {path.name for path in released.iterdir()}
    assert names == {f"rockpress-{version}-py3-none-any.whl", f"rockpress-{version}.tar.gz"}


def test_the_same_commit_gives_the_same_bytes(source: Path, released: Path, tmp_path: Path) -> None:
    """Elsewhere, later, and for a user whose files nobody else may read."""
    git(tmp_path, "clone", "-q", str(source), "again")
    (tmp_path / "again" / "lies_about.py").touch()
    done = release(tmp_path / "again", umask=0o077)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in released.iterdir():
        assert (tmp_path / "again" / "dist" / path.name).read_bytes() == path.read_bytes(), path


def metadata_of(released: Path) -> list[str]:
    (wheel,), (archive,) = released.glob("*.whl"), released.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        texts = [opened.read(name).decode()]
    with tarfile.open(archive) as members:
        file = members.extractfile(f"{archive.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert file is not None
        return [*texts, file.read().decode()]


def test_an_index_takes_the_metadata(released: Path, root: Path) -> None:
    """It refuses invalid fields, and dependencies by address."""
    for text in metadata_of(released):
        metadata = Metadata.from_email(text, validate=True)
        assert metadata.description_content_type == "text/markdown"
        assert metadata.description == (root / "README.md").read_text()
        assert metadata.requires_dist and not [each for each in metadata.requires_dist if each.url]


def test_the_archive_says_nothing_of_who_built_it(released: Path) -> None:
    (archive,) = released.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
    assert {(each.uid, each.gid, each.uname, each.gname) for each in members} == {(0, 0, "", "")}
    assert len({each.mtime for each in members}) == 1
    inside = {each.name.partition("/")[2] for each in members}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/project/test_release.py"} <= inside


def test_a_tag_has_to_be_that_of_the_version(source: Path, version: str) -> None:
    done = release(source, "v99.0.0")
    assert done.returncode == 1
    assert done.stderr == f"the tag v99.0.0 is not that of version {version}\n"
    if f"## [{version}] – " not in (source / "CHANGELOG.md").read_text():
        done = release(source, f"v{version}")
        assert (done.returncode, "CHANGELOG.md has no section" in done.stderr) == (1, True)


def instructions(root: Path) -> list[tuple[str, str]]:
    """The image's file, each instruction with its words; fails on what is none."""
    text = (root / "Containerfile").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    matches = [INSTRUCTION.fullmatch(line) for line in lines]
    assert all(matches), lines
    return [(match[1], match[2]) for match in matches if match]


def test_the_image_is_made_of_what_is_there(root: Path, version: str) -> None:
    """Nothing else is handed to whatever builds it."""
    handed = [line[1:] for line in (root / ".dockerignore").read_text().split() if line[0] == "!"]
    there = ["requirements.txt", f"dist/rockpress-{version}-py3-none-any.whl"]
    assert (root / there[0]).is_file()
    (copied,) = (
        words for kind, words in instructions(root) if kind == "COPY" and "--" not in words
    )
    *sources, target = copied.split()
    assert target == "/tmp/" and sources == handed
    assert all(fnmatch(name, pattern) for name, pattern in zip(there, sources, strict=True))


def test_the_image_installs_what_is_listed_and_nothing_else(root: Path) -> None:
    """As make does it; torch is not in the list (test_packaging.py)."""
    runs = [words for kind, words in instructions(root) if kind == "RUN"]
    assert all(subprocess.run(["sh", "-n", "-c", run]).returncode == 0 for run in runs)
    steps = [shlex.split(step) for run in runs for step in run.split("&&") if " install " in step]
    installs = [words for words in steps if words[0] != "apt-get"]
    assert [words[-1] for words in installs] == ["/tmp/requirements.txt", "/tmp/rockpress-*.whl"]
    assert all("--no-deps" in words for words in installs)
    assert "--require-hashes" in installs[0]


def test_the_image_itself_has_the_client_that_reaches_a_board(root: Path) -> None:
    """What the stage of the build installs stays there."""
    written = instructions(root)
    last = max(index for index, (kind, _) in enumerate(written) if kind == "FROM")
    assert any(
        kind == "RUN" and "openssh-client" in words.partition("&& rm")[0].split()
        for kind, words in written[last:]
    )


def test_the_workflow_releases_by_tag_and_keeps_no_password(root: Path) -> None:
    text = (root / ".github" / "workflows" / "release.yml").read_text()
    workflow = YAML(typ="safe").load(text)
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert "secrets." not in text
    jobs = workflow["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["publish"]
    (command,) = (step["run"] for step in jobs["build"]["steps"] if "make" in step.get("run", ""))
    done = subprocess.run(
        ["bash", "-c", command.replace("make", "make --dry-run", 1)],
        cwd=root,
        env={**os.environ, "GITHUB_REF_NAME": "v1.2.3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ".ci/release v1.2.3\n" in done.stdout
    assert "docker version" in done.stdout
