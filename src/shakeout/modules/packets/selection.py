"""From the text of a filter to a program: by our own compiler where it understands the text, else by tcpdump."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shakeout.errors import JobError, ModuleFailed, UsageError
from shakeout.modules.packets.bpf import LONGEST, Instruction, Program
from shakeout.modules.packets.filtercode import compile_filter
from shakeout.modules.packets.filtersyntax import LONGEST as LONGEST_TEXT
from shakeout.modules.packets.filtersyntax import SUMMARY, parse

if TYPE_CHECKING:
    from shakeout.modules.packets.interface import Interface

_LINE = re.compile(r"^(\d{1,5}) (\d{1,3}) (\d{1,3}) (\d{1,10})$", re.MULTILINE)


def refusal(text: str) -> str:
    """Why *text* can be no filter, wherever it is used; "" if it may be one (tcpdump's if not ours)."""
    if len(text) > LONGEST_TEXT:
        return f"filter: {len(text)} characters are more than the limit of {LONGEST_TEXT}"
    if not text.isprintable():
        return "filter: it has characters that cannot be printed"
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        return f"filter {text!r}: its parentheses or brackets do not match"
    return ""


def program_for(text: str, interface: Interface, snaplen: int) -> Program:
    """The program for the filter *text* on *interface*.

    Raises:
        ModuleFailed: it is no filter.
        JobError: only tcpdump could understand it, and is not installed here.
    """
    try:
        return compile_filter(parse(text), snaplen, interface.link)
    except UsageError as error:
        return _by_tcpdump(text, interface, snaplen, str(error))


def _by_tcpdump(text: str, interface: Interface, snaplen: int, trouble: str) -> Program:
    from shakeout.modules.command import run_command

    complaint = ""
    # For the interface, so that it looks at tags where the kernel has them; one that is down is not accepted.
    for link in (["-i", interface.name], ["-y", "EN10MB" if interface.link == "ether" else "RAW"]):
        try:
            done = run_command(["tcpdump", *link, "-s", str(snaplen), "-ddd", "--", text], {"LC_ALL": "C"})
        except FileNotFoundError:
            raise JobError(
                f"the filter {text!r} is not understood: {trouble}. If it is one of tcpdump's that shakeout does not "
                "know, install the package tcpdump on this host (Debian, Ubuntu and Fedora), which then compiles it; "
                f"without that there are: {SUMMARY}"
            ) from None
        if done.status == 0:
            found = tuple(Instruction(*map(int, line)) for line in _LINE.findall(done.output))
            if 0 < len(found) <= LONGEST:
                return found
        complaint = done.output.strip().rpartition("tcpdump: ")[2] or complaint
    raise ModuleFailed(f"the filter {text!r} is understood by neither shakeout ({trouble}) nor tcpdump ({complaint})")
