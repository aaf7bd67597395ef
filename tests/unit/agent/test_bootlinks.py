"""Boot links: found, and made again exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from shakeout.agent.bootlinks import links_of, named_along, restore_links


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc/systemd/system/multi-user.target.wants", "run/systemd/system", "etc/rc2.d", "etc/rc.d/rc3.d"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def link(root: Path, path: str, target: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(target)


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): str(path.readlink()) for path in root.rglob("*") if path.is_symlink()}


def test_only_those_of_the_family_are_found(root: Path) -> None:
    units = "etc/systemd/system"
    link(root, f"{units}/multi-user.target.wants/a.service", "/lib/systemd/system/a.service")
    link(root, f"{units}/multi-user.target.wants/b.service", "/lib/systemd/system/b.service")
    link(root, f"{units}/alias.service", "/lib/systemd/system/a.service")
    link(root, f"{units}/masked.service", "/dev/null")
    link(root, "run/systemd/system/x.target.requires/a.service", "/lib/systemd/system/a.service")
    link(root, "etc/rc2.d/S03a", "../init.d/a")
    link(root, "etc/rc2.d/S03ab", "../init.d/ab")
    link(root, "etc/rc.d/rc3.d/K99a", "../init.d/a")
    (root / units / "a.service").write_text("no link")
    found = [path.removeprefix(f"{root}/") for path, _ in links_of(["a.service"], str(root))]
    assert found == [
        "etc/rc.d/rc3.d/K99a", "etc/rc2.d/S03a", f"{units}/alias.service", f"{units}/multi-user.target.wants/a.service",
        "run/systemd/system/x.target.requires/a.service",
    ]  # fmt: skip


def test_restored_whatever_has_become_of_them(root: Path) -> None:
    wants = "etc/systemd/system/multi-user.target.wants"
    link(root, f"{wants}/a.service", "/lib/systemd/system/a.service")
    link(root, "etc/systemd/system/own.target.wants/a.service", "../a.service")
    link(root, f"{wants}/other.service", "/lib/systemd/system/other.service")
    before, links = tree(root), links_of(["a.service"], str(root))
    assert not restore_links(["a.service"], links, str(root))
    (root / wants / "a.service").unlink()
    link(root, f"{wants}/a.service", "/elsewhere/a.service")
    (root / "etc/systemd/system/own.target.wants/a.service").unlink()
    (root / "etc/systemd/system/own.target.wants").rmdir()
    link(root, "etc/systemd/system/new.target.wants/a.service", "/lib/systemd/system/a.service")
    link(root, "etc/rc2.d/S01a", "../init.d/a")
    assert restore_links(["a.service"], links, str(root))
    assert tree(root) == before
    assert not (root / "etc/systemd/system/new.target.wants").exists()


def test_units_that_go_along(tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text("[Install]\nWantedBy=x.target\nAlso=b.socket c.service\nAlias = d.service\n")
    (tmp_path / "b.socket").write_text("[Install]\nAlso=a.service e.timer\n")
    assert named_along([str(tmp_path / "a.service"), "", "/nowhere"]) == {
        "a.service", "b.socket", "c.service", "d.service", "e.timer",
    }  # fmt: skip
