"""The exceptions that an agent's refusals stand for."""

from __future__ import annotations

from shakeout.errors import (
    AgentUnreachable,
    DeviceError,
    HostReserved,
    JobError,
    LabLacks,
    LeaseHeld,
    ServiceError,
    ShakeoutError,
    TransferError,
    UnknownName,
    UsageError,
    VersionMismatch,
)  # fmt: skip
from shakeout.wire.harmless import harmless
from shakeout.wire.messages import Refusal, Refused


def refusal_error(refusal: Refusal, host: str) -> ShakeoutError:
    """A request was refused."""
    refusal = harmless(refusal, lines=True)
    text = f"{host}: {refusal.text}"
    if refusal.traceback:
        text += f"\n{refusal.traceback}"
    if refusal.code == "device":
        return DeviceError(text, refusal.errno)
    if refusal.code == "lacks":
        return LabLacks(text)
    if refusal.code == "transfer":
        return TransferError(text)
    if refusal.code == "service":
        return ServiceError(text)
    if refusal.code == "missing":
        error = UnknownName("device", "")
        error.args = (text,)
        return error
    if refusal.code == "usage":
        return UsageError(text)
    return JobError(text)


def refused_error(message: Refused, host: str) -> ShakeoutError:
    """A session was refused."""
    message = harmless(message)
    if message.code == "lease":
        return LeaseHeld(message.text, host, message.holder)
    if message.code == "reserved":
        return HostReserved(message.text, host, message.holder)
    if message.code in ("version", "release"):
        return VersionMismatch(message.text, host)
    return AgentUnreachable(message.text, host)
