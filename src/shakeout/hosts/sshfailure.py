"""Why a host could not be reached via ssh, or was lost: from what ssh said, with what to try."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shakeout.hosts.sshcommand import NO_PYTHON, OLDEST

#: Exit status of ssh for errors of its own.
_OWN_ERROR = 255
_NEEDED = ".".join(map(str, OLDEST))
#: Said by ssh beside errors, or after them.
_ASIDE = re.compile(r"^(Warning: Permanently added|Connection to .* closed\.|\*\* |Killed by signal)")
#: What somebody says -> what to try. {host} is the host.
_ADVICE = (
    (
        "IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known: if the machine was set up anew, remove the old key with "
        "ssh-keygen -R and log in once by hand to look at the new one; otherwise somebody may be in between",
    ),
    (
        "Host key verification failed",
        "its host key is not known here, and nobody is asked in a run: log in once by hand (ssh {host}) and compare "
        "the key, or add it to known_hosts",
    ),
    (
        "Permission denied",
        "nobody is asked for a password in a run: put your key there (ssh-copy-id {host}) or load it (ssh-add), until "
        "ssh -o BatchMode=yes {host} true works",
    ),
    (
        "a password is required",
        "sudo there asks for a password: let the user become root without one (NOPASSWD in sudoers), or say user: root "
        "or sudo: false in the host's file",
    ),
    ("Unknown option: -I", "what python: in its file names is older than Python 3.4; 3.11 or later is needed"),
    ("sudo: command not found", "there is no sudo: say user: root or sudo: false in the host's file"),
    ("sudo: not found", "there is no sudo: say user: root or sudo: false in the host's file"),
    ("is not in the sudoers file", "the user may not become root: say user: root or sudo: false in the host's file"),
)


def why_none(shown: str, status: int | None, said: Sequence[str], greeting: str) -> str:
    """Why there is no connection.

    Args:
        shown: the host, as ssh is told it.
        status: ssh's exit status; None: it goes on.
        said: its last lines on standard error.
        greeting: what the login printed, as the end of a sentence.
    """
    text = "\n".join(said)
    if NO_PYTHON in text:
        return _without_python(said)
    told = [line for line in said if not _ASIDE.match(line)]
    host = shown.partition(":")[0] if shown.count(":") == 1 else shown
    advice = next((advice.format(host=host) for sign, advice in _ADVICE if sign in text), "")
    if advice:
        relevant = next(line for line in reversed(said) if any(sign in line for sign, _ in _ADVICE))
        return f"{advice} (ssh said: {relevant})"
    last = told[-1] if told else f"nothing, and it ended with status {status}"
    if status == _OWN_ERROR:
        return f"{last}; does ssh -o BatchMode=yes {host} true work?{greeting}"
    more = " / ".join(told[-3:]) if told else last
    return f"the agent could not be started there; what was said: {more}{greeting}"


def _without_python(said: Sequence[str]) -> str:
    line = next(line for line in reversed(said) if NO_PYTHON in line)
    version = line.partition(NO_PYTHON)[2].strip()
    found = f"only {version.split(' ')[0]}" if version else "none"
    return (
        f"an agent needs Python {_NEEDED} or later there, and {found} was found (python3, python3.11 and later ones "
        "are looked for in the PATH of its login shell); install one, or name it with python: in the host's file"
    )


def why_ended(status: int | None, said: Sequence[str]) -> str:
    """Why a connection that stood has ended; "" if there is nothing to tell but that."""
    told = [line for line in said if not _ASIDE.match(line)]
    if not told:
        return ""
    if status == _OWN_ERROR:
        return f"the ssh connection broke: {told[-1]}"
    return f"its agent ended the connection; last it said: {' / '.join(told[-3:])}"
