"""A real SLURM on this machine alone: its three daemons, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

SOCKETS = """\
ClusterName=one
SlurmctldHost={name}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
NodeName={name} NodeAddr=127.0.0.1 CPUs=1
PartitionName=loihi Nodes={name} Default=YES State=UP
"""
DAEMONS = ("munged", "slurmctld", "slurmd")


class Slurm:
    """Its partition is ``loihi``; ``conf`` is its configuration."""

    def __init__(self, folder: Path) -> None:
        for name in (*DAEMONS, "srun"):
            if shutil.which(name, path="/usr/sbin:" + os.environ["PATH"]) is None:
                pytest.skip(f"there is no {name} here (apt-get install slurm-wlm)")
        if os.getuid() != 0:
            pytest.skip("SLURM's daemons are root's")
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.running: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool"):
            (folder / name).mkdir()
        name = socket.gethostname().partition(".")[0]
        self.conf.write_text(
            SOCKETS.format(folder=folder, name=name, ports=free_ports(2))
        )

    def start(self) -> None:
        """Start it; skips where it does not come up."""
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        paths = ("socket", "pid-file", "log-file", "seed-file")
        munge = [f"--{path}={self.folder}/munge.{path[:-5]}" for path in paths[1:]]
        munge += [f"--socket={self.folder}/munge.socket", f"--key-file={key}"]
        self._daemon("munged", "--foreground", "--force", *munge)
        self._daemon("slurmctld", "-D", "-f", self.conf)
        self._daemon("slurmd", "-D", "-f", self.conf)
        env = {**os.environ, "SLURM_CONF": str(self.conf)}
        for _ in range(60):
            words = ["sinfo", "--noheader", "--format=%T"]
            found = subprocess.run(words, env=env, capture_output=True, text=True)
            if found.stdout.strip() == "idle":
                return
            time.sleep(1)
        logs = [(self.folder / f"{name}.log").read_text()[-300:] for name in DAEMONS]
        self.stop()
        pytest.skip(f"SLURM does not start here: {logs}")

    def _daemon(self, name: str, *words: object) -> None:
        program = shutil.which(name, path="/usr/sbin:" + os.environ["PATH"])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    [program, *map(str, words)], stdout=log, stderr=log, cwd="/"
                )
            )

    def stop(self) -> None:
        """End it."""
        for daemon in reversed(self.running):
            daemon.terminate()
            daemon.wait()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
