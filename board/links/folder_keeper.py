"""The line of shell that keeps our folder on a board: made at its start, removed at its end.

It ends when its stdin does, and that does whatever ends this side: a close, a kill, a connection
that breaks. What comes there is kept in a file, by which the agent sees that a connection was cut
that nobody has told of. It is two processes, each of which cleans up when the other is killed. It
holds no single quote, exclamation mark or new line, so that a login shell of any kind (sh, BusyBox,
csh, fish) hands it on to sh as it is. It was tried in dash, bash, BusyBox 1.35 and mksh, which is
Android's, behind each of them and behind tcsh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_MARK = "rockpress-board"
_PROCESSES, _CLOCKS = ".processes", "clocks.json"
# which board/agent/guardian.py reads
_HEARD, _KEEPER = ".heard", ".keeper"
_SECONDS_TO_END = 2  # of a program there whose stdin is closed; then it is killed
_FOLDER = re.compile(r"/[\w./-]+")
_WORD = re.compile(r"[\w./=:-]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_PUT_BACK = (
    'PYTHONPATH="$d/agent.py" python3 -c "import sys; from agent.clock_setting import put_back; '
    'put_back(sys.argv[1])" "$d" <&- >/dev/null 2>&1'
)


def keeper(name: str) -> str:
    """Return the script, which makes a folder of this name; nobody can have foreseen it.

    It says in lines what Python there is, and where the folder is or why there is none. At its end
    it kills what was started there and still runs, and puts the clocks back where the agent noted
    them and could not.
    """
    places = f'"${{TMPDIR:-/tmp}}/{name}" /data/local/tmp/{name}'
    return (
        "umask 077; LC_ALL=C; export LC_ALL; exec 3<&0; "
        f'end() {{ for d in {places}; do if [ -d "$d" ]; then '
        f'for p in $(cat "$d/{_PROCESSES}" 2>/dev/null); do if kill -0 $p 2>/dev/null; then '
        f"sleep {_SECONDS_TO_END}; kill -9 $p 2>/dev/null; fi; done; "
        f'if [ -e "$d/{_CLOCKS}" ]; then {_PUT_BACK}; fi; '
        'rm -rf "$d"; fi; done; }; '
        f'( while read -r l <&3; do for d in {places}; do if [ -d "$d" ]; then '
        f'echo >>"$d/{_HEARD}"; fi; done; done; end ) <&- >/dev/null 2>&1 & '
        'exec 3<&-; trap end EXIT; trap "exit 1" HUP INT TERM; '
        f'for d in {places}; do if r=$(mkdir "$d" 2>&1); then break; fi; e="$e$r; "; d=; done; '
        f'if [ "$d" ]; then echo $$ >"$d/{_KEEPER}"; echo "{_MARK} python $(python3 -V 2>&1)"; '
        f'echo "{_MARK} folder $d"; '
        f'wait; else echo "{_MARK} none $e"; fi'
    )


@dataclass
class KeeperAnswer:
    """What the keeper says: its folder, or why there is none, and what Python the board has.

    ``noise`` is what others printed before.
    """

    folder: str = ""
    refusal: str = ""
    python: str = ""
    noise: list[str] = field(default_factory=list)


def keeper_answer(lines: Iterator[str]) -> KeeperAnswer:
    """Read lines until the keeper has said whether there is a folder, or they end."""
    answer = KeeperAnswer()
    for line in lines:
        mark, _, rest = line.partition(" ")
        key, _, value = rest.strip().partition(" ")
        if mark != _MARK:
            answer.noise.append(line)
        elif key == "python":
            answer.python = value
        elif key == "folder" and _FOLDER.fullmatch(value):
            answer.folder = value
            break
        elif key in ("none", "folder"):
            answer.refusal = value
            break
    return answer


def for_sh(script: str) -> str:
    """Return a script as one line for whatever shell the user has on the board."""
    return f"exec sh -c '{script}'"


def writing(folder: str, name: str) -> str:
    """Return the line that writes its stdin into a file in the folder. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a file on a board")
    return for_sh(f"umask 077; LC_ALL=C cat >{folder}/{name}")


def running(folder: str, words: Sequence[str]) -> str:
    """Return the line that runs a program, which the keeper ends at the latest.

    sh waits for it, so that a signal which ends it is an exit code, 128 + N. Raises ValueError.
    """
    if not all(map(_WORD.fullmatch, words)):
        raise ValueError(f"{list(words)} are no words for the shell of a board")
    inner = f"echo \\$\\$ >>{folder}/{_PROCESSES}; exec {' '.join(words)}"
    return for_sh(f'LC_ALL=C; export LC_ALL; sh -c "{inner}"; exit $?')
