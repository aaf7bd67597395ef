"""The command line: arguments become one call into the layers below."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from shakeout.labs.netns import NetnsLab

#: Seconds that threads have to end when the program is over.
_PATIENCE = 1.0

#: A laboratory that was started before the command line was even read, if that looked like a run.
_early_lab: NetnsLab | None = None


def main() -> NoReturn:
    """The program ``shakeout``."""
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"], ["--version"], ["-V"]):
        sys.exit(_answer_at_once(arguments[0]))
    from shakeout.processes.streams import open_missing_streams

    open_missing_streams()
    _start_early(arguments)
    from shakeout.cli.program import run_program

    status = run_program(arguments)
    _do_not_wait_for_threads(status)
    sys.exit(status)


def _do_not_wait_for_threads(status: int) -> None:
    """Threads that a recipe started and did not end shall not keep the program from ending, after a while."""
    import threading

    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    names = ", ".join(thread.name for thread in others if not thread.daemon)
    if not names:
        return

    def end() -> None:
        time.sleep(_PATIENCE)
        sys.stderr.write(f"shakeout: ended although threads of a recipe still run: {names}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    threading.Thread(target=end, daemon=True).start()


def take_early_lab() -> NetnsLab | None:
    """The laboratory that is being made already, for whoever needs it first."""
    global _early_lab
    lab, _early_lab = _early_lab, None
    return lab


def _answer_at_once(question: str) -> int:
    """What people ask first is answered before anything that reads command lines is loaded; the exit status."""
    if question in ("--version", "-V"):
        import shakeout

        text = f"shakeout {shakeout.__version__}\n"
    else:
        from shakeout.cli.commands import front_page, terminal_width

        text = front_page(terminal_width())
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        return nobody_reads()
    except OSError as error:
        sys.stderr.write(f"shakeout: {error.strerror}\n")
        nobody_reads()
        return 2
    return 0


def nobody_reads() -> int:
    """Our reader has left: let the interpreter's last flush go nowhere; the exit status, as a shell says SIGPIPE."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return 141


def _start_early(arguments: list[str]) -> None:
    """Have the default laboratory warm up, in parallel with everything else, if this is going to need it."""
    global _early_lab
    words = [word for word in arguments if word not in ("-d", "--debug")]
    ours = words[: words.index("--")] if "--" in words else words
    if ours[:1] != ["run"] or len(ours) < 2:
        return
    if any(word.startswith(("--help", "-h", "--pool", "--lab")) for word in ours):
        return
    from shakeout.labs.netns import NetnsLab

    _early_lab = NetnsLab()
