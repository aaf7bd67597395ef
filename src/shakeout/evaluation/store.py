"""Baselines in files: one for each name and key, below one folder.

A file is replaced at once or not at all, under a lock of its folder; one that is no baseline, or that of another name
or key, is refused and left as it is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Literal

import msgspec

from shakeout.errors import UsageError
from shakeout.evaluation.measured import Measured
from shakeout.files.placing import place
from shakeout.journal.artifacts import safe_name
from shakeout.journal.schemas import check_schema
from shakeout.units import unit

SCHEMA = 1
_LONGEST = 1 << 20


class StoredBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds.

    Attributes:
        key: what it was kept apart by: {"m1.arch": "x86_64"}.
        freedom: of the uncertainty; None: unlimited.
        recorded: when, UTC, ISO 8601.
        run: the run that measured it.
    """

    schema: int = SCHEMA
    name: str
    key: dict[str, str]
    value: float
    unit: str
    uncertainty: float | None = None
    confidence: float = 0.95
    freedom: float | None = None
    n: int = 1
    method: Literal["given", "mean", "batch means", "median"] = "given"
    samples: tuple[float, ...] = ()
    recorded: str = ""
    run: str = ""

    @property
    def measured(self) -> Measured:
        """The value."""
        return Measured(
            self.value, self.unit, self.uncertainty, self.n, self.confidence,
            inf if self.freedom is None else self.freedom, self.method, self.samples,
        )  # fmt: skip


_decoder = msgspec.json.Decoder(StoredBaseline)


class Slot:
    """The place of one baseline, held by this process.

    Attributes:
        stored: what is there; None if nothing is.
        path: its file.
    """

    def __init__(self, path: Path, name: str, key: Mapping[str, str]) -> None:
        self.path = path
        self._name = name
        self._key = dict(key)
        self.stored = read(path) if path.exists() or path.is_symlink() else None
        if self.stored is not None and (self.stored.name, self.stored.key) != (name, self._key):
            raise UsageError(
                f"{path} holds the baseline {self.stored.name!r} of {_words(self.stored.key)}, not that of {name!r} of "
                f"{_words(self._key)}; move it away, or name another folder with the setting baselines_dir"
            )

    def write(self, measured: Measured, *, recorded: str, run: str) -> None:
        """Replace what is there.

        Raises:
            UsageError: it cannot be written; what was there still is.
        """
        stored = StoredBaseline(
            name=self._name,
            key=self._key,
            value=measured.value,
            unit=measured.unit,
            uncertainty=measured.uncertainty,
            confidence=measured.confidence,
            freedom=None if measured.freedom == inf else measured.freedom,
            n=measured.n,
            method=measured.method,
            samples=measured.samples,
            recorded=recorded,
            run=run,
        )
        try:
            place(self.path, msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n")
        except OSError as error:
            raise UsageError(f"the baseline cannot be written to {self.path}: {error.strerror}") from error


class BaselineStore:
    """All baselines of one folder, which is made when the first is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def slot(self, name: str, key: Mapping[str, str]) -> Iterator[Slot]:
        """Hold the place of a baseline: nobody else changes it meanwhile.

        Raises:
            UsageError: the folder cannot be used, or what is in the place is no baseline, or another's.
        """
        path = self.path(name, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path.parent / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(
                f"baselines cannot be kept in {path.parent}: {error.strerror}; name another folder with the setting "
                "baselines_dir (in shakeout.toml, or SHAKEOUT_BASELINES_DIR)"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Slot(path, name, key)
        finally:
            os.close(lock)

    def path(self, name: str, key: Mapping[str, str]) -> Path:
        """The file of a baseline."""
        return self.folder / _file_name(name) / (_file_name(_words(key)) + ".json")

    def all(self) -> Iterator[tuple[Path, StoredBaseline | UsageError]]:
        """Every file below the folder, with its baseline or why it is none; in the order of their names."""
        for path in sorted(self.folder.glob("*/*.json")):
            if path.name.startswith("."):
                continue
            try:
                yield path, read(path)
            except UsageError as error:
                yield path, error


def read(path: Path) -> StoredBaseline:
    """The baseline in a file.

    Raises:
        UsageError: it is none, or of another schema, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be read: {error.strerror}") from error
    try:
        check_schema(data, SCHEMA, f"the baseline {path}")
        stored = _decoder.decode(data)
        if len(data) > _LONGEST or stored.n < 1 or not 0.5 <= stored.confidence < 1:
            raise msgspec.ValidationError("a number that makes no sense")
        unit(stored.unit)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path} is no baseline ({error}); it is left as it is: repair it, or remove it (shakeout baselines rm), "
            "and the next run records a new one"
        ) from None
    return stored


def _words(key: Mapping[str, str]) -> str:
    return "+".join(f"{name}={value}" for name, value in sorted(key.items())) or "all"


def _file_name(text: str) -> str:
    """*text* as a file's name, unlike that of any other text."""
    safe = safe_name(text[:100])
    return safe if safe == text else f"{safe[:80]}-{sha256(text.encode(errors='surrogatepass')).hexdigest()[:12]}"
