"""``snn-deploy`` and ``python -m snn_deploy``."""

from __future__ import annotations

import errno
import io
import sys

import click

from .commands.cli import cli
from .toolchain.errors import SnnDeployError
from .toolchain.visible import visible

INTERRUPTED, PIPE_CLOSED = 130, 141  # as a shell has them


def main() -> None:
    """Run the command line; what is wrong outside is one sentence and exit code 2.

    Exit code 1 is a check that failed, so nothing else ends with it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who called
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run())


def _run() -> int:
    try:
        ended = _command()
        sys.stdout.flush()
        return ended
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return _say("Interrupted", INTERRUPTED)
    except SnnDeployError as error:
        return _say(f"Error: {error}")
    except MemoryError as error:
        return _say(
            f"Error: there is not enough memory ({error}); take fewer steps, fewer "
            "samples or a smaller network"
        )
    except UnicodeEncodeError as error:  # of a name, half a character
        name = error.object[max(error.start - 30, 0) : error.end]
        return _say(f"Error: {name!a} is no Unicode; rename that file or folder")
    except OSError as error:
        if error.errno == errno.EPIPE:
            sys.stdout = io.StringIO()  # nobody reads what is left
            return PIPE_CLOSED
        what = "Output" if error.filename is None else f"File {error.filename!r}"
        return _say(
            f"Error: {what}: {error.strerror or error}; check its name, its "
            "permissions and the room on its disk"
        )


def _command() -> int:
    """The exit code that the command itself has."""
    output = sys.stdout
    try:
        code = cli(prog_name="snn-deploy", standalone_mode=False)
    except SystemExit as ended:
        if sys.stdout is not output:  # which click wraps where a pipe is closed
            return PIPE_CLOSED
        code = ended.code
    return code if isinstance(code, int) else 0


def _say(text: str, code: int = 2) -> int:
    print(visible(text), file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
