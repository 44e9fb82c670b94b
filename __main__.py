"""``snn-deploy`` and ``python -m snn_deploy``."""

from __future__ import annotations

import sys

from .commands.cli import cli
from .toolchain.errors import SnnDeployError


def main() -> None:
    """Run the command line; an error in the input is one sentence and exit code 2."""
    try:
        cli(prog_name="snn-deploy")
    except SnnDeployError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
