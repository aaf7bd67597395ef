"""Which schema a file of ours has: one of another version is not read, and the error says what to do."""

from __future__ import annotations

import msgspec

from shakeout.errors import UsageError


class _Schema(msgspec.Struct):
    schema: int


_decoder = msgspec.json.Decoder(_Schema)


def check_schema(data: bytes, known: int, what: str, kind: type[UsageError] = UsageError) -> None:
    """See that *data*, a JSON object, has the schema that is *known* here.

    Args:
        what: the file, for the message: "the journal …".
        kind: the error that is raised.

    Raises:
        UsageError: it has another one.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is no JSON object with a schema.
    """
    found = _decoder.decode(data).schema
    if found != known:
        newer = ", or upgrade this one" if found > known else ""
        raise kind(
            f"{what} has schema {found}, and this version reads schema {known}; use the one that wrote it{newer}"
        )
