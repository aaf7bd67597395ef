"""What kernels lack, in words: which labs have a kind of device or option that this one has not."""

from __future__ import annotations

from shakeout.errors import DeviceError, LabLacks

_BOTH = "`--lab uml` or `--lab qemu`"
_QEMU = "`--lab qemu`"
#: Kinds that only one of the full-kernel labs has (tried with Debian's kernels).
_ONLY = {"hsr": "`--lab uml`", "wireguard": _QEMU, "xfrm": _QEMU, "l2tp": _QEMU}
#: Errors with which a kernel says that it does not know something: EOPNOTSUPP, EPROTONOSUPPORT.
UNSUPPORTED = frozenset((95, 93))


def lacking_kind(kind: str, error: DeviceError) -> LabLacks:
    """The error for a kind of link that the kernel does not know."""
    labs = _ONLY.get(kind, _BOTH)
    return LabLacks(
        f"the kernel of this host has no devices of kind {kind!r} ({error}); "
        f"run the recipe with {labs}, or on a host whose kernel has it"
    )


def lacking_option(option: str, error: DeviceError) -> LabLacks:
    """The error for an option of a device that the kernel was built without."""
    return LabLacks(
        f"the kernel of this host does not support {option} ({error}); "
        f"run the recipe with {_BOTH}, or on a host whose kernel has it"
    )
