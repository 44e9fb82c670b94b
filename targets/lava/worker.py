"""The process in which Lava runs: ``python -m snn_deploy.targets.lava.worker``.

Lava forks a process for every process of its network, hangs at exit unless stopped,
and hangs in stop() once one of them has failed. So it never runs in the user's own
process, and this one ends, with all that Lava forked, as soon as it is in the way:

- its standard input is closed: the session is over, or was interrupted;
- its parent is gone, by whatever signal;
- one of Lava's processes is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import shutil
import sys
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ...toolchain.program.program import Program
    from .chip_network import ChipNetwork
    from .network import Network

CHIP = "chip"
PATIENCE = 0.2  # s between two looks at parent and children


def main(handle: int, parent: int, folder: Path) -> None:
    """Serve one session: a Program, then (samples, steps) again and again.

    With the Program comes the stock process of a convolution, or ``CHIP``. Each message
    is answered by None, or by what went wrong.
    """
    connection = Connection(handle)
    os.register_at_fork(after_in_child=connection.close)
    watched: list[BaseProcess] = []
    threading.Thread(
        target=watch, args=(connection, parent, folder, watched), daemon=True
    ).start()
    program, how = connection.recv()
    try:
        network = made(program, folder, how)
        watched += multiprocessing.active_children()
        while True:
            connection.send(None)
            network.run(*connection.recv())
    except EOFError:  # the session is closed
        watched.clear()
        network.stop()
    except Exception:
        connection.send(complaints(watched) or traceback.format_exc())
    end(folder)


def made(program: Program, folder: Path, how: str) -> Network | ChipNetwork:
    """The network of a session, on this computer or on a chip."""
    if how == CHIP:
        from .chip_network import made_on_chip

        return made_on_chip(program, folder)
    from .network import Network

    return Network(program, folder, how)


def watch(
    connection: Connection, parent: int, folder: Path, watched: list[BaseProcess]
) -> None:
    """End this process when its session is over or Lava is broken."""
    while os.getppid() == parent:
        if select.select([0], [], [], PATIENCE)[0]:
            break
        if watched and not {*watched} <= {*multiprocessing.active_children()}:
            with suppress(OSError):
                connection.send(complaints(watched) or "a process of it was killed")
            break
    end(folder)


def complaints(processes: list[BaseProcess]) -> str:
    """Tracebacks of what went wrong in Lava's processes, which it does not print."""
    found = [getattr(process, "exception", None) for process in processes]
    return "\n".join(text for _, text in filter(None, found))


def end(folder: Path) -> NoReturn:
    """Kill what Lava forked, then this process; Python then frees shared memory."""
    for child in multiprocessing.active_children():
        with suppress(OSError, ValueError):
            child.kill()
            os.waitpid(child.pid or 0, 0)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
