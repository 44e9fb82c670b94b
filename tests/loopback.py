"""A real sshd on this machine, as an ordinary process, with a home of its own."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
ForceCommand {folder}/session
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
KexAlgorithms curve25519-sha256
"""
CLIENT = """\
Host loopback gate
  HostName 127.0.0.1
Host nobody
  HostName 127.0.0.1
  Port 1
Host *
  Port {port}
  User {user}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  BatchMode yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking accept-new
"""
SESSION = """\
#!/bin/sh
cd {home} || exit 1
export HOME={home} PYTHONPATH={path} PYTHONDONTWRITEBYTECODE=1
{limit}
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""


@dataclass
class Loopback:
    """The machine ``loopback``; ``gate`` is the way to it, and ``nobody`` listens."""

    folder: Path
    port: int = 0
    server: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def home(self) -> Path:
        """The home folder there."""
        return self.folder / "home"

    @property
    def jobs(self) -> list[Path]:
        """Folders of jobs there."""
        return list((self.home / ".snn-deploy").glob("*"))

    def lay(self, limit: str = "", path: str = "") -> None:
        """How a session there begins: with limits of the shell's, a PYTHONPATH."""
        session = self.folder / "session"
        home = shlex.quote(str(self.home))
        text = SESSION.format(home=home, limit=limit, path=shlex.quote(path))
        session.write_text(text)
        session.chmod(0o755)

    def start(self) -> None:
        """Start sshd, and wait until it listens."""
        words = [sshd(), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        log = (self.folder / "log").open("ab")
        self.server = subprocess.Popen(words, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End sshd and its connections; what they started goes on."""
        assert self.server is not None
        children = children_of(self.server.pid)
        self.server.terminate()
        self.server.wait()
        for pid in children:
            kill(pid)

    def drop(self) -> int:
        """Kill the processes of sshd that hold connections; how many."""
        assert self.server is not None
        found = children_of(self.server.pid)
        for pid in found:
            kill(pid)
        return len(found)


def sshd() -> str:
    """The server's program; skips where it is not installed."""
    found = shutil.which("sshd", path="/usr/sbin:/sbin:" + os.environ["PATH"])
    if found is None or shutil.which("ssh") is None:
        pytest.skip("there is no sshd here (apt-get install openssh-server)")
    return found


def loopback(folder: Path) -> Loopback:
    """A machine in this folder, started; the caller stops it."""
    machine = Loopback(folder)
    machine.home.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        machine.port = free.getsockname()[1]
    if os.getuid() == 0:  # sshd's own, which its service would make
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host_key", "key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(words, check=True)
    asked = {"folder": folder, "port": machine.port, "user": getpass.getuser()}
    (folder / "sshd_config").write_text(SERVER.format(**asked))
    (folder / "config").write_text(CLIENT.format(**asked))
    ssh = folder / "bin" / "ssh"
    ssh.parent.mkdir()
    config = shlex.quote(str(folder / "config"))
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    ssh.chmod(0o755)
    machine.lay()
    machine.start()
    return machine


def children_of(parent: int) -> list[int]:
    """Process ids."""
    return [pid for pid, words in processes() if words[1] == str(parent)]


def processes() -> list[tuple[int, list[str]]]:
    """Every process: its id; state, parent and more, of ``/proc/ID/stat``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        found.append((int(entry.name), words))
    return found


def running(begin: str) -> list[int]:
    """Processes whose command line, a zero between its words, begins so."""
    found = []
    for pid, (state, *_) in processes():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if line.startswith(begin) and state != "Z":
            found.append(pid)
    return found


def kill(pid: int) -> None:
    """With no chance to say a word."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Meanwhile:
    """Does something once, as soon as a job tells of its first samples."""

    def __init__(self, far: Loopback, doing: Callable[[], object]) -> None:
        self.far, self.doing = far, doing
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Meanwhile:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join()

    def _watch(self) -> None:
        for _ in range(2400):
            logs = [job / "log" for job in self.far.jobs]
            if any(log.exists() and log.read_text() for log in logs):
                self.doing()
                return
            time.sleep(0.05)
