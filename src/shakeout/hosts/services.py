"""Services of a host: what its agent is asked, and what is noted of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from shakeout.errors import ProtocolError, UsageError
from shakeout.journal.events import Setting
from shakeout.wire.messages import ReadService, SetService
from shakeout.wire.plain import unpack
from shakeout.wire.services import ServiceState

if TYPE_CHECKING:
    from shakeout.hosts.session import Session

Told = TypeVar("Told")


def change(session: Session, service: str, *, enable: bool) -> ServiceState:
    """Enable and start *service*, or disable and stop it; how it is then.

    Raises:
        UsageError, ServiceError, LabLacks: as its agent refused.
    """
    name = _name(service, session.name)
    was, now = _ask(session, lambda number: SetService(number, name, enable), tuple[ServiceState, ServiceState])
    noted = Setting(host=session.name, path=f"service {now.name}", value=now.text, previous=was.text)
    session.recorder.write(noted)
    return now


def look(session: Session, service: str) -> ServiceState:
    """How *service* is.

    Raises:
        LabLacks: nothing there manages services.
    """
    name = _name(service, session.name)
    return _ask(session, lambda number: ReadService(number, name), ServiceState)


def _ask(session: Session, message: Callable[[int], msgspec.Struct], kind: type[Told]) -> Told:
    told = unpack(session.ask(message))
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"its agent did not say how a service is: {error}", session.name) from error


def _name(service: object, host: str) -> str:
    if not isinstance(service, str) or not service:
        raise UsageError(f"a service of {host} is named by text, such as 'chrony', not by {service!r}")
    return service
