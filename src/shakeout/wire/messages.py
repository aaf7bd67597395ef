"""Every message that may travel between a controller and an agent, each a frozen typed record.

Records are arrays on the wire (the first element is the type's name), so a field may be added at the end with a
default and older peers go on. What cannot be added like that is a new `PROTOCOL` number.

Ids are the sender's own: jobs are numbered by the controller, from 1, per host; requests likewise.
Times are nanoseconds of CLOCK_MONOTONIC on the machine that sent them.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import msgspec

from shakeout.wire.parts import Entry, Reservation, Step

#: The protocol versions that this program speaks, oldest first. The highest common one is used.
PROTOCOLS = (1, 1)

STDIN = 0
STDOUT = 1
STDERR = 2
#: A test module's outcome: one packed value, see shakeout.modules.outcome.
OUTCOME = 3

#: Exit status of a process that could not even begin; its outcome is the reason, as text.
NOT_STARTED = 127

#: Bytes of one stream of one job that may be under way before the controller has said it took them.
WINDOW = 512 << 10


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all messages."""


# ---- controller to agent ----------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """The first message; anything else first ends the connection."""

    versions: tuple[int, int]
    controller: str
    run: str
    #: "control" takes the host's lease; "attach" is another terminal on a host that run *run* already holds;
    #: "look" takes nothing: it asks how the host is, and makes reservations.
    role: Literal["control", "attach", "look"] = "control"
    #: The controller's version of shakeout: built-in modules are not shipped, so these must agree.
    release: str = ""
    #: Who runs it, as "user@machine"; where the connection itself says who (a certificate), that counts instead.
    owner: str = ""
    #: With "control": if the host is held, stand in line (answered by Queued) rather than be refused.
    wait: bool = False


class Sync(Message, frozen=True):
    """What time is it there?"""

    sequence: int
    t_ns: int


class StartJob(Message, frozen=True):
    """Start a process; exactly one of *shell*, *argv* and *module* says which."""

    id: int
    shell: str | None = None
    argv: tuple[str, ...] | None = None
    #: A packed order, see shakeout.modules.source.
    module: bytes | None = None
    #: Variables over those of the host.
    env: dict[str, str] = {}
    cwd: str = ""
    user: str = ""
    netns: str = ""
    stdin: bytes = b""
    #: Leave standard input open: more comes as JobInput.
    keep_stdin: bool = False
    #: Say when it runs (JobStarted), not only when it has ended.
    announce: bool = False
    #: Rows and columns of a terminal that the job shall have as its standard streams.
    terminal: tuple[int, int] | None = None


class JobInput(Message, frozen=True):
    """More for a job's standard input."""

    id: int
    data: bytes
    end: bool = False


class Resize(Message, frozen=True):
    """A job's terminal has a new size."""

    id: int
    rows: int
    columns: int


class Signal(Message, frozen=True):
    """Send a signal to a job's whole process group; with SIGKILL, to all that it left behind elsewhere, too."""

    id: int
    signum: int


class Credit(Message, frozen=True):
    """*size* bytes of a job's stream have been taken: as many may follow. From an agent: of its standard input."""

    id: int
    stream: int
    size: int


class SourceText(Message, frozen=True):
    """The source of one Python module, for test modules and device classes that follow."""

    sha256: str
    filename: str
    text: bytes


#: What can be done with a device.
DeviceOp = Literal["get", "set", "call", "items", "create", "adopt", "list"]


class DeviceCall(Message, frozen=True):
    """Something done with a device; the session process answers with Answer or Refusal."""

    id: int
    device: int
    op: DeviceOp
    name: str = ""
    payload: bytes = b""


class SetSetting(Message, frozen=True):
    """Write a file below /proc or /sys; what was there is put back at the end."""

    id: int
    path: str
    value: bytes


class ReadSetting(Message, frozen=True):
    """Read a file below /proc or /sys."""

    id: int
    path: str


class PutFiles(Message, frozen=True):
    """Files are coming for *path*: their entries now, their contents as FileData, one after the other.

    With *by_fd*, one descriptor comes along and is the content of the only file.
    """

    id: int
    path: str
    entries: tuple[Entry, ...]
    by_fd: bool = False
    #: More entries of this transfer follow (in another PutFiles with the same id).
    more: bool = False
    #: What the top entry is called if *path* turns out to be a directory to put it into.
    name: str = ""


class FileData(Message, frozen=True):
    """Some content of transfer *id*, in the order of its entries (in either direction)."""

    id: int
    data: bytes


class GetFiles(Message, frozen=True):
    """Send what is at *path*; answered by Listing messages, then FileData, then Answer."""

    id: int
    path: str
    recursive: bool = False
    #: The asker can take a descriptor instead of the content of a single file.
    by_fd: bool = False
    #: A single file is moved: it is removed there as soon as it has been opened.
    move: bool = False


class AbandonFiles(Message, frozen=True):
    """Nobody wants transfer *id* any more: what has half arrived is removed, what is being sent is stopped."""

    id: int


class SetService(Message, frozen=True):
    """Enable and start a service, or disable and stop it; it is put back at the end."""

    id: int
    service: str
    enable: bool


class ReadService(Message, frozen=True):
    """How is a service? Answered by packed data: see shakeout.agent.services."""

    id: int
    service: str


class Reserve(Message, frozen=True):
    """Keep the host for the one who asks, for *seconds* from now; a reservation of one's own is replaced."""

    id: int
    seconds: float
    reason: str = ""


class Unreserve(Message, frozen=True):
    """End the host's reservation; with *force*, also somebody else's."""

    id: int
    force: bool = False


class Inspect(Message, frozen=True):
    """What interfaces does the host have, and whom do they see? Answered by packed data: shakeout.agent.inspection."""

    id: int


class EndSession(Message, frozen=True):
    """The recipe is over: end what runs, undo everything, release the host."""

    #: Leave the host as it is (jobs, devices, everything) for somebody to look at.
    keep: bool = False


# ---- agent to controller ----------------------------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """The session is open."""

    version: int
    host_ns: int
    boot_id: str
    #: The host's properties, in a fixed set: see shakeout.agent.properties.
    props: dict[str, str | int | float | bool | list[str]]
    #: The session's mark; with role "look" what tells the host's lease from all others in the world.
    lease: str
    release: str = ""
    #: With role "look": who has the lease now, "" if nobody has.
    holder: str = ""
    reservation: Reservation | None = None


class Refused(Message, frozen=True):
    """No session; the connection ends.

    Attributes:
        code: which exception it becomes: "lease" (*holder* has the host), "reserved" (*holder* is the owner), "role",
            "certificate" (it is none of a controller's), "version", "release".
    """

    code: Literal["version", "lease", "role", "release", "reserved", "certificate"]
    text: str
    versions: tuple[int, int] = PROTOCOLS
    holder: str = ""


class Queued(Message, frozen=True):
    """The host is held by *holder*, and *position* - 1 others come first (again when that changes), then Welcome."""

    position: int
    holder: str


class SyncReply(Message, frozen=True):
    """The time here, and the time there when it was asked for."""

    sequence: int
    t_ns: int
    host_ns: int


class JobStarted(Message, frozen=True):
    """A job runs as process *pid* (as the host numbers them)."""

    id: int
    pid: int
    host_ns: int


class Output(Message, frozen=True):
    """Some of what a job wrote; may still come after its JobDone, from processes that it left behind."""

    id: int
    stream: int
    data: bytes


class JobDone(Message, frozen=True):
    """A job's leader has ended.

    Exactly one of *exit_status* and *signal* is set, or neither and *error* says why it could not be started.
    """

    id: int
    exit_status: int | None
    signal: int | None
    started_ns: int
    finished_ns: int
    #: Whether processes that it started live on, in its group or at the other end of its pipes.
    survivors: bool = False
    error: str = ""
    pid: int = 0


class Answer(Message, frozen=True):
    """A request was carried out; *payload* is packed plain data."""

    id: int
    payload: bytes = b""


class Refusal(Message, frozen=True):
    """A request was not carried out.

    Attributes:
        code: which exception it becomes on the controller ("state": it cannot be done with this device now).
        errno: the kernel's number, 0 if it was not the kernel.
    """

    id: int
    code: Literal["device", "lacks", "missing", "transfer", "usage", "error", "limit", "service"]
    text: str
    errno: int = 0
    traceback: str = ""


class Listing(Message, frozen=True):
    """Entries of a transfer to the controller. With *by_fd*, the only file's descriptor comes along."""

    id: int
    entries: tuple[Entry, ...]
    by_fd: bool = False


class Ended(Message, frozen=True):
    """The session is over and the host as it was, but for the steps that failed."""

    steps: tuple[Step, ...] = ()
    #: Command lines of processes that outlived their jobs and were ended now.
    survivors: tuple[str, ...] = ()


ToAgent = (
    Hello | Sync | StartJob | JobInput | Resize | Signal | Credit | SourceText | DeviceCall | SetSetting
    | ReadSetting | SetService | ReadService | PutFiles | FileData | GetFiles | AbandonFiles | Reserve | Unreserve
    | Inspect | EndSession
)  # fmt: skip
ToController = (
    Welcome
    | Refused
    | Queued
    | SyncReply
    | Credit
    | JobStarted
    | Output
    | JobDone
    | Answer
    | Refusal
    | Listing
    | FileData
    | Ended
)


@cache
def agent_decoder() -> msgspec.msgpack.Decoder[ToAgent]:
    """Decodes what an agent may be sent."""
    return msgspec.msgpack.Decoder(ToAgent)


@cache
def controller_decoder() -> msgspec.msgpack.Decoder[ToController]:
    """Decodes what a controller may be sent."""
    return msgspec.msgpack.Decoder(ToController)
