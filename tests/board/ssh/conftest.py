"""A board over a real OpenSSH client: a server on 127.0.0.1, one a file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ssh_board import SshBoard, ssh_board


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBoard]:
    with ssh_board(tmp_path_factory.mktemp("board")) as board:
        yield board


@pytest.fixture
def board(running: SshBoard, monkeypatch: pytest.MonkeyPatch) -> SshBoard:
    monkeypatch.setenv("PATH", running.search_path)
    running.reset()
    return running
