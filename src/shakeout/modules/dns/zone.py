"""The records of a name server for tests, and what it answers from them; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shakeout.modules.dns.message import Message, Question, Record, encode
from shakeout.modules.dns.names import labels_of, text_of
from shakeout.modules.dns.records import encode_data, type_number

#: Aliases that are followed for one answer.
_MAX_ALIASES = 8


class Zone:
    """Records by name.

    Args:
        records: name -> type -> data as in a zone file, or a list of such.

    Attributes:
        problems: what is wrong with them, each as a sentence.
    """

    def __init__(self, records: Mapping[str, Any], ttl: int) -> None:
        self.problems: list[str] = []
        self._ttl = ttl
        self._names: dict[str, dict[str, list[str]]] = {}
        for name, kinds in records.items():
            where = f"records[{name!r}]"
            if not isinstance(kinds, dict):
                self.problems.append(f'{where}: expected a dict, as {{"A": "10.0.0.1"}}')
                continue
            try:
                key = _key(name)
            except ValueError as error:
                self.problems.append(f"{where}: {error}")
                continue
            self._names[key] = {}
            for kind, data in kinds.items():
                self.problems += self._add(key, where, str(kind), data)

    def _add(self, key: str, where: str, kind: str, data: Any) -> Iterator[str]:
        texts = data if isinstance(data, list | tuple) else [data]
        try:
            type_number(kind)
            for text in texts:
                if not isinstance(text, str):
                    raise ValueError(f"expected text, not {text!r:.40}")
                encode_data(kind.upper(), text, bytearray())
        except ValueError as error:
            yield f"{where}[{kind!r}]: {error}"
        else:
            self._names[key][kind.upper()] = list(texts)

    def answer(self, query: Message, limit: int, rcode: str | None = None, *, truncate: bool = False) -> bytes:
        """The answer to *query*, of at most *limit* bytes; cut off, and marked so, if it is longer.

        Args:
            rcode: to give that one instead.
            truncate: to cut it off in any case.
        """
        edns = 1232 if query.edns is not None else None
        empty = Message(
            query.id,
            query.question,
            response=True,
            opcode=query.opcode,
            recursion_desired=query.recursion_desired,
            edns=edns,
        )
        if rcode is not None or query.opcode or query.question is None:
            return encode(empty._replace(rcode=rcode or ("NOTIMP" if query.opcode else "FORMERR")))
        found, exists = self._find(query.question)
        message = empty._replace(
            answers=tuple(found), authoritative=True, rcode="NOERROR" if exists or found else "NXDOMAIN"
        )
        data = encode(message)
        if truncate or len(data) > limit:
            data = encode(message._replace(answers=(), truncated=True))
        return data

    def _find(self, question: Question) -> tuple[list[Record], bool]:
        """The records for *question*, and whether its name exists."""
        records: list[Record] = []
        name = question.name
        for _ in range(_MAX_ALIASES + 1):
            kinds = self._kinds(name)
            if kinds is None:
                return records, False
            wanted = list(kinds) if question.kind == "ANY" else [question.kind]
            found = [Record(name, kind, self._ttl, text) for kind in wanted for text in kinds.get(kind, ())]
            aliases = kinds.get("CNAME", [])
            if found or not aliases:
                return records + found, True
            records.append(Record(name, "CNAME", self._ttl, aliases[0]))
            name = aliases[0]
        return records, True

    def _kinds(self, name: str) -> dict[str, list[str]] | None:
        """What there is of *name*; that of a wildcard above it, if it has nothing of its own."""
        labels = labels_of(name)
        for at in range(len(labels) + 1):
            rest = text_of([label.lower() for label in labels[at:]])
            key = rest if not at else ("*" if rest == "." else f"*.{rest}")
            if key in self._names:
                return self._names[key]
        return None


def _key(name: str) -> str:
    return text_of([label.lower() for label in labels_of(name)])
