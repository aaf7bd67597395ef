"""Exceptions on a host whose own message leaves the reader alone, said so that one knows what to do."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from shakeout.modules import installation
from shakeout.modules.order import ModuleOrder


def explained(error: BaseException, order: ModuleOrder, *, started: bool) -> BaseException:
    """*error*, or one of the same type and traceback with a message that names the host and a remedy.

    Args:
        started: the module was running; otherwise its files were being imported.
    """
    text = ""
    if outdated := installation.remedy(error):
        text = f"{error}: {outdated}"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        text = _missing(error.name, order, started)
    elif isinstance(error, SystemExit):
        where = "run() called" if started else "a shipped file, while it was imported, called"
        text = f"{where} sys.exit({error.code!r})"
        if not started:
            text += '; put what a script does under: if __name__ == "__main__":'
    elif isinstance(error, SyntaxError) and not started:
        text = f"{error} (read by Python {sys.version.split()[0]} on host {order.host})"
    if not text:
        return error
    kinds = (ModuleNotFoundError, ImportError, SyntaxError, SystemExit)
    better = next((kind for kind in kinds if isinstance(error, kind)), type(error))(text)
    better.__cause__, better.__suppress_context__ = error.__cause__, error.__suppress_context__
    return better.with_traceback(error.__traceback__)


def _missing(name: str, order: ModuleOrder, started: bool) -> str:
    top = name.partition(".")[0]
    python = f"Python {sys.version.split()[0]}, {sys.executable}"
    if any(source.name == top for source in order.sources):
        return (
            f"the module {name!r} was not sent to host {order.host}: what is imported by an import statement "
            "from files next to the test module's is sent, other files are not"
        )
    text = f"there is no Python module {name!r} on host {order.host} ({python}); "
    text += f"install it there ({install_command(top)})"
    if not started:
        text += f", or, if not all hosts need it, import it inside run() of {order.qualname}"
    return text + "; a file of yours is sent if it lies next to the test module's and an import statement names it"


def install_command(package: str) -> str:
    """How a Python package is installed for the interpreter that runs this.

    Where the system's package manager owns that interpreter, pip refuses.
    """
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if sys.prefix == sys.base_prefix and marker.exists():
        return f"apt install python3-{package.replace('_', '-').lower()}"
    return f"{sys.executable} -m pip install {package}"
