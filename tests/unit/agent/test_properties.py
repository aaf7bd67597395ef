"""What a host says of itself."""

from __future__ import annotations

import pytest

from shakeout.agent.properties import collect, virtualization


@pytest.mark.parametrize(
    ("maker", "hypervisor", "kind"),
    [
        ("QEMU", True, "kvm"), ("Microsoft Corporation", True, "hyperv"), ("Microsoft Corporation", False, ""),
        ("Dell Inc.", False, ""), ("", True, "vm"), ("Amazon EC2", False, ""),
    ],
)  # fmt: skip
def test_a_virtual_machine_by_its_maker(maker: str, hypervisor: bool, kind: str) -> None:
    assert virtualization(maker, hypervisor) == kind


def test_the_set_is_fixed() -> None:
    assert set(collect()) == {
        "hostname", "kernel", "arch", "distribution", "distribution_id", "distribution_version", "cpus", "cpu_model",
        "memory", "python", "user", "privileged", "lab", "virtualization", "systemd",
    }  # fmt: skip
