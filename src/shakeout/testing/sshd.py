"""sshd on machines, and a way to log in to them that touches none of the user's own keys and files."""

from __future__ import annotations

import pwd
import subprocess
import sys
from pathlib import Path

from shakeout.testing.machines import Machine, Machines, Process

_SERVER = """\
ListenAddress {address}
HostKey {keys}/host_key
AuthorizedKeysFile {keys}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
SetEnv PATH={path}
MaxStartups 100
Subsystem sftp internal-sftp
"""
_CLIENT = """\
Host {name} {address}
    HostName {address}
    User {user}
    IdentityFile {keys}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {keys}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    LogLevel ERROR
"""
#: Where the key and configuration files of a machine's sshd are, there.
_KEYS = "/run/sshd-keys"


class SshLogin:
    """sshd on every machine of *machines*, and the command that logs in to them by name.

    Attributes:
        command: what takes the place of ``ssh``: with a configuration file and a key of its own.
        config: that file.
        servers: sshd, by the machine's name.
    """

    def __init__(self, machines: Machines, *, user: str = "root") -> None:
        self.folder = machines.folder / "ssh"
        self.folder.mkdir(mode=0o700)
        self.config = self.folder / "config"
        self.command = ("ssh", "-F", str(self.config))
        for key in ("host_key", "user_key"):
            generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", str(self.folder / key)]
            subprocess.run(generate, check=True, stdin=subprocess.DEVNULL)
        host_key = (self.folder / "host_key.pub").read_text()
        known = [f"{machine.address},{machine.name} {host_key}" for machine in machines]
        (self.folder / "known_hosts").write_text("".join(known))
        self.servers: dict[str, Process] = {}
        for machine in machines:
            self.servers[machine.name] = self._serve(machine)
            entry = _CLIENT.format(name=machine.name, address=machine.address, user=user, keys=self.folder)
            with self.config.open("a") as file:
                file.write(entry)

    def _serve(self, machine: Machine) -> Process:
        home = pwd.getpwuid(0).pw_dir
        machine.path(home).chmod(0o755)  # the interpreter may be below, and other users run it, too
        machine.path(f"{home}/.bashrc").unlink(missing_ok=True)  # of this machine's user, who may have anything in it
        keys = machine.path(_KEYS)
        keys.mkdir(mode=0o755)
        machine.path("/run/sshd").mkdir(exist_ok=True)  # what sshd changes its root to
        for key in ("host_key", "user_key.pub"):
            (keys / key).write_bytes((self.folder / key).read_bytes())
        (keys / "host_key").chmod(0o600)
        (keys / "user_key.pub").chmod(0o644)
        python = Path(sys.base_prefix, "bin")
        path = f"{python}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        (keys / "config").write_text(_SERVER.format(address=machine.address, keys=_KEYS, path=path))
        server = machine.start(["/usr/sbin/sshd", "-D", "-e", "-f", f"{_KEYS}/config"])
        server.wait_output("Server listening")
        return server


def add_user(machine: Machine, name: str, *, sudo: bool = False, shell: str = "/bin/bash") -> None:
    """A user of *machine*; with *sudo* one who may do everything without a password."""
    number = 2000 + sum(1 for _ in machine.path("/home").iterdir())
    with machine.path("/etc/passwd").open("a") as passwd, machine.path("/etc/shadow").open("a") as shadow:
        passwd.write(f"{name}:x:{number}:{number}::/home/{name}:{shell}\n")
        shadow.write(f"{name}:*:19000:0:99999:7:::\n")  # no password, but not locked
    with machine.path("/etc/group").open("a") as group:
        group.write(f"{name}:x:{number}:\n")
    machine.run(["install", "-d", "-o", name, "-g", name, f"/home/{name}"])
    if sudo:
        machine.path("/etc/sudoers.d").mkdir(exist_ok=True)
        rights = machine.path(f"/etc/sudoers.d/{name}")
        rights.write_text(f"{name} ALL=(ALL) NOPASSWD: ALL\n")
        rights.chmod(0o440)
