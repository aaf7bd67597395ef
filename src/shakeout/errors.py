"""Every exception of shakeout, in one tree::

    ShakeoutError                      exit status
    ├── UsageError                     2: could not be run as asked; nothing was changed
    │   ├── BadParameters              names, types or limits of parameters
    │   ├── BadRecipe                  a recipe file or class that cannot be run
    │   ├── BadRequirement             a HostReq/DeviceReq that makes no sense, a reserved name
    │   ├── BadDocument                a YAML/JSON/TOML file, with every error and its place
    │   ├── BadPlugin                  a plugin that cannot be loaded, or two of one name
    │   ├── UnknownName                a plugin, run, host, device, property … nobody knows
    │   ├── BadInventory               a pool that contradicts itself
    │   ├── NoMatch                    no hosts meet the requirements; carries the explanation
    │   ├── LabLacks                   this laboratory cannot do what the recipe needs
    │   ├── NotInteractive             a breakpoint without a terminal
    │   └── JournalError               a journal that cannot be read, or not be begun
    │       └── JournalBroken          3: the journal of a run that is under way cannot be written
    ├── HostError                      3: broke while running
    │   ├── AgentUnreachable           nobody answered
    │   │   └── CertificateRefused     one side does not accept the other's certificate
    │   ├── LeaseHeld                  another controller has the host
    │   │   └── HostReserved           it is kept for somebody else
    │   ├── HostLost                   the connection ended in mid-session
    │   ├── LabEnded                   the laboratory ended, though nobody told it to
    │   ├── ProtocolError              the other side does not speak the protocol
    │   ├── VersionMismatch            the other side speaks another version of it
    │   └── UndoFailed                 a host could not be put back
    ├── JobError                       1: a job could not be started or its outcome not be used
    │   ├── CannotTravel               a value that is no plain data
    │   └── ModuleFailed               a test module's run() says that its test has failed
    ├── DeviceError                    1: the kernel refused a device operation
    ├── TransferError                  1: a file could not be sent or received
    ├── ServiceError                   1: a service could not be started, stopped, enabled or disabled
    ├── ConditionTimeout               1: wait_for() waited in vain
    └── RunAborted                     1: somebody chose "abort" at a breakpoint

Messages are one paragraph: what, where, what is accepted, what to try.
Facts that a program may want are attributes.
"""

from __future__ import annotations

from collections.abc import Iterable


class ShakeoutError(Exception):
    """Root of all errors that shakeout raises on purpose."""

    #: Exit status of a command that ends with this error (see docs/reference/exit-status).
    exit_status = 3


class UsageError(ShakeoutError):
    """The run could not be done as asked; nothing was changed anywhere."""

    exit_status = 2


class BadParameters(UsageError, TypeError):
    """Parameters are missing, unknown or have bad values; the message names all of them (but not thousands).

    Attributes:
        problems: all of them.
    """

    #: More problems than this are counted in the message, not shown.
    SHOWN = 40

    def __init__(self, owner: str, problems: Iterable[str]) -> None:
        self.owner = owner
        self.problems = tuple(problems)
        more = len(self.problems) - self.SHOWN
        shown = [*self.problems[: self.SHOWN], *([f"and {more} more"] if more > 0 else [])]
        super().__init__(f"{owner}: " + "; ".join(shown))


class BadRecipe(UsageError):
    """A recipe file or class that cannot be run."""


class BadRequirement(UsageError):
    """A requirement that makes no sense, or a reserved name."""


class BadDocument(UsageError):
    """A document with errors; each problem says file, line, path, value, what is accepted."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownName(UsageError, LookupError):
    """A name that nobody knows.

    Attributes:
        kind: what sort of thing was looked for ("test module", "run", "property" …).
        name: the name as given.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), hint: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        text = f"no {kind} is called {name!r}{did_you_mean(name, self.known)}"
        if hint:
            text += f"; {hint}"
        super().__init__(text)

    def __str__(self) -> str:  # LookupError's subclasses print a repr otherwise
        return str(self.args[0])


class BadPlugin(UsageError):
    """A plugin that cannot be loaded, or a name that two plugins have."""


class BadInventory(UsageError):
    """A pool that contradicts itself (duplicate hosts, duplicate interfaces …)."""


class NoMatch(UsageError):
    """No hosts meet the requirements; the message says which requirement is in the way."""


class LabLacks(UsageError):
    """This laboratory cannot do what was asked; the message names those that can."""


class NotInteractive(UsageError):
    """A breakpoint was reached where nobody can answer."""


class HostError(ShakeoutError):
    """Something broke on, or on the way to, a host.

    Attributes:
        host: the host's name, "" if none is known yet.
        reason: the message without that name.
    """

    def __init__(self, message: str, host: str = "") -> None:
        self.host = host
        self.reason = message
        super().__init__(f"{host}: {message}" if host else message)


class AgentUnreachable(HostError):
    """Nobody answered at a host's endpoint."""


class CertificateRefused(AgentUnreachable):
    """One side of a connection does not accept the certificate of the other; which, and why, is in the message."""


class LeaseHeld(HostError):
    """Another controller has the host.

    Attributes:
        holder: that controller's name.
    """

    def __init__(self, message: str, host: str = "", holder: str = "") -> None:
        self.holder = holder
        super().__init__(message, host)


class HostReserved(LeaseHeld):
    """The host is reserved for somebody else.

    Attributes:
        holder: whom for.
    """


class HostLost(HostError):
    """The connection to a host ended in mid-session; its jobs are over."""


class LabEnded(HostError):
    """The laboratory has ended, and its hosts with it, though nobody told it to."""


class ProtocolError(HostError):
    """The other side sent something that is not the protocol."""


class VersionMismatch(HostError):
    """The other side speaks other versions of the protocol."""


class UndoFailed(HostError):
    """A host could not be put back as it was; every failed step is named."""


class JobError(ShakeoutError):
    """A job could not be started, or its outcome cannot be used."""

    exit_status = 1


class CannotTravel(JobError, TypeError):
    """A value that is no plain data and so cannot be sent between hosts."""


class ModuleFailed(JobError):
    """Raised in a test module's `run()`: the test has failed, for the reason that the message gives.

    An AssertionError says the same; any other exception says that the module itself broke.
    """


class DeviceError(ShakeoutError):
    """The kernel, or a device's own check, refused an operation.

    Attributes:
        errno: the kernel's error number, 0 if it was not the kernel.
    """

    exit_status = 1

    def __init__(self, message: str, errno: int = 0) -> None:
        self.errno = errno
        super().__init__(message)


class TransferError(ShakeoutError):
    """A file could not be sent or received; what was there before still is."""

    exit_status = 1


class ServiceError(ShakeoutError):
    """A service of a host could not be started, stopped, enabled or disabled; what its manager says is in the text."""

    exit_status = 1


class ConditionTimeout(ShakeoutError, TimeoutError):
    """A condition did not come true in time."""

    exit_status = 1


class RunAborted(ShakeoutError):
    """Somebody chose to abort at a breakpoint."""

    exit_status = 1


class JournalError(UsageError):
    """A journal that cannot be read, or not be begun, and what to do about it."""


class JournalBroken(JournalError):
    """The journal of a run that is under way cannot be written any more (a full disk)."""

    exit_status = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a typo: ' (did you mean X?)', or the known names if they are few, or ''."""
    import difflib  # costs milliseconds, and an error is rare

    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:
        words = sorted(name.lower().split("_"))  # add_ip for ip_add
        near = [n for n in names if sorted(n.lower().split("_")) == words]
    if near:
        return f" (did you mean {near[0]!r}?)"
    if 0 < len(names) <= 12:
        return f" (known: {', '.join(names)})"
    return ""
