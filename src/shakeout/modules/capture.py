"""PacketCapture: packets of an interface, written to a file that Wireshark and tcpdump read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.limits import DeviceOrNameParam
from shakeout.params import BoolParam, ChoiceParam, DurationParam, IntParam, PathParam, StrParam

if TYPE_CHECKING:
    from shakeout.modules.beat import Beat
    from shakeout.modules.packets.interface import Interface
    from shakeout.modules.packets.pcapfile import PacketFiles
    from shakeout.modules.packets.ring import Ring
    from shakeout.modules.series import Series


class PacketCaptureResult(TypedDict):
    """What PacketCapture has written.

    Keys:
        packets: that are in the files, or were in those that were removed.
        bytes: their length on the network, in bytes.
        dropped: packets that came while there was no room for them; they are nowhere.
        file: the last (or only) file, on the host.
        files: all files that there are, oldest first.
        removed: files that were removed because newer ones took their place.
        seconds: how long packets were captured.
        downs: how often the interface went down, or was down at the beginning.
        ended: why it ended: "count", "size", "duration", "interrupt" or "gone" (the interface).
    """

    packets: int
    bytes: int
    dropped: int
    file: str
    files: list[str]
    removed: int
    seconds: float
    downs: int
    ended: str


class PacketCapture(BaseTestModule):
    """Write the packets of an interface to a pcap file, with nanoseconds; all, or those that a filter lets through.

    Prints "listening on NAME" when it does: no packet after that is missed, and what comes faster than it can be
    written is counted in *dropped*. It ends after *count* packets, *duration*, or *max_size* bytes; in the background
    also by ``job.kill(signal.SIGINT)``, with all that came until then. The result is a `PacketCaptureResult`; the
    files become artifacts of the run as soon as the job was waited for, and those without a name of their own are
    then removed from the host.

    The filter is in tcpdump's language, of which the everyday part needs no tcpdump on the host. Other than there,
    protocols are looked for behind VLAN tags, too. An interface that is down, or goes down, is waited for.

    Examples:
        >>> capture = m1.run(PacketCapture(dev="lo", filter="icmp", count=4), bg=True)
        >>> capture.wait_output("listening on lo")
        <re.Match object; span=(0, 15), match='listening on lo'>
        >>> job = m1.run(Ping(dst="127.0.0.1", count=2, interval=0.01))
        >>> capture.wait(timeout=10)
        True
        >>> capture.result["packets"], capture.result["dropped"]
        (4, 0)
    """

    result_units = {"bytes": "B"}

    dev = DeviceOrNameParam(mandatory=True, desc="interface: a device, or its name on the host")
    filter = StrParam(default="", desc="which packets, as tcpdump says it: 'tcp port 80 and host 10.0.0.1'")
    file = PathParam(desc="where to write; a new file in the directory for temporary ones if not given")
    count = IntParam(default=0, minimum=0, desc="packets after which it ends; 0: any number")
    duration = DurationParam(minimum=0.001, desc="time after which it ends; until stopped if not given")
    max_size = IntParam(default=0, minimum=0, desc="bytes of one file; 0: any number")
    files = IntParam(
        default=1, minimum=1, maximum=1000, desc="the last so many files are kept when max_size is reached"
    )
    snaplen = IntParam(default=262144, minimum=14, maximum=262144, desc="bytes of each packet that are kept")
    direction = ChoiceParam(("both", "in", "out"), default="both", desc="packets that come in, go out, or both")
    promiscuous = BoolParam(default=False, desc="have the interface take in what is for others")
    buffer = IntParam(default=8, minimum=1, maximum=1024, desc="MiB of memory for packets that wait")
    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample of the rate to the next")

    def __init__(self, **kwargs: Any) -> None:
        from shakeout.modules.packets.selection import refusal

        super().__init__(**kwargs)
        if problem := refusal(self.filter):
            raise BadParameters("PacketCapture", [problem])
        if self.files > 1 and not self.max_size:
            raise BadParameters("PacketCapture", [f"files={self.files} without max_size, which begins the next file"])

    def run(self) -> PacketCaptureResult:
        from shakeout.modules.beat import Beat
        from shakeout.modules.packets.interface import find_interface
        from shakeout.modules.packets.ring import Ring
        from shakeout.modules.packets.selection import program_for

        interface = find_interface(self.dev)
        program = program_for(self.filter, interface, self.snaplen)
        ring = Ring(interface, program, size=self.buffer << 20, direction=self.direction, promiscuous=self.promiscuous)
        with ring, Beat(self.interval, self.duration) as beat:
            _Capture(self, interface, ring, beat).whole()
        result: PacketCaptureResult = self._res_data
        if result["ended"] == "gone":
            raise ModuleFailed(
                f"{interface.name} went away while its packets were captured; {result['packets']} were until then"
            )
        return result

    def artifacts(self, result: Any) -> dict[str, bool]:
        """The files; those that have no name of their own are to be removed from the host."""
        files = result.get("files") if isinstance(result, dict) else None
        return {str(file): self.file is None for file in files} if isinstance(files, list) else {}

    def format_result(self, result: Any) -> str:
        """ "12 packets, 1176 bytes in 3.2 s, in /tmp/x.pcap" and what else is worth knowing."""
        try:
            text = f"{result['packets']} packets, {result['bytes']} bytes in {result['seconds']:.3f} s"
            text += f", {result['dropped']} dropped" if result["dropped"] else ""
            text += f", the interface was down {result['downs']} times" if result["downs"] else ""
            more = len(result["files"]) - 1
            return f"{text}, in {result['file']}" + (f" and {more} files before it" if more else "")
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Capture:
    """One capture, from its first packet to its last."""

    def __init__(self, module: PacketCapture, interface: Interface, ring: Ring, beat: Beat) -> None:
        self._module, self._ring, self._beat = module, ring, beat
        self._interface = interface
        self._files = self._open()
        self._series: Series = module.series("packets", rate="1/s", bits="bit/s", dropped="1")
        self.result = PacketCaptureResult(
            packets=0, bytes=0, dropped=0, file=self._files.paths[-1], files=self._files.paths, removed=0, seconds=0.0,
            downs=0, ended="",
        )  # fmt: skip
        module._res_data = self.result
        self._sampled = (0, 0)

    def _open(self) -> PacketFiles:
        from shakeout.modules.packets.pcapfile import PacketFiles

        module = self._module
        path = str(module.file) if module.file is not None else _temporary(self._interface.name)
        return PacketFiles(path, self._interface.link, module.snaplen, limit=module.max_size, files=module.files)

    def whole(self) -> None:
        """Until it ends."""
        ring, beat = self._ring, self._beat
        try:
            ring.start()
            for descriptor in ring.descriptors():
                beat.attend(descriptor, self._take)
            print(f"listening on {self._interface.name}", flush=True)  # noqa: T201 - it is the module's output
            for _ in beat:
                self._sample()
            ring.stop()
            self._take()
            if not self.result["ended"]:
                self.result["ended"] = "interrupt" if beat.interrupted else "duration"
        finally:
            self._files.close()
            self._told()

    def _take(self) -> None:
        result, files, count = self.result, self._files, self._module.count
        for packet in self._ring.packets():
            if result["ended"] in ("count", "size"):
                break
            if not files.write(packet):
                result["ended"] = "size"
            else:
                result["packets"] += 1
                result["bytes"] += packet.length
                if result["packets"] == count:
                    result["ended"] = "count"
        if self._ring.gone:
            result["ended"] = result["ended"] or "gone"
        if result["ended"]:
            self._beat.stop()

    def _sample(self) -> None:
        self._told()
        self._files.flush()
        packets, size = self._sampled
        self._sampled = (self.result["packets"], self.result["bytes"])
        if self._beat.whole:
            seconds = max(1e-9, self._beat.elapsed)
            rate, bits = (self._sampled[0] - packets) / seconds, 8 * (self._sampled[1] - size) / seconds
            self._series.add(rate=rate, bits=bits, dropped=self._ring.dropped)

    def _told(self) -> None:
        result = self.result
        self._ring.look()
        result["dropped"], result["downs"] = self._ring.dropped, self._ring.downs
        result["file"], result["removed"] = self._files.paths[-1], self._files.removed
        result["seconds"] = round(self._beat.seconds(), 6)


def _temporary(name: str) -> str:
    """A new file for the packets of an interface."""
    import os
    import tempfile

    plain = "".join(character for character in name if character.isalnum() or character in "-_")
    descriptor, path = tempfile.mkstemp(prefix=f"shakeout-{plain}-", suffix=".pcap")
    os.close(descriptor)
    return path
