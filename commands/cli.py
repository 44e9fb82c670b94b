"""The command line: words in, ``deploy`` does it, words and files out.

A verb is one file here, which holds a command of the file's name, and one word in
``VERBS``.
"""

from __future__ import annotations

from importlib import import_module

import click

VERBS = ("build", "run", "compare", "report", "train", "finetune", "targets")


class Verbs(click.Group):
    """Each verb's file is read when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        if name not in VERBS:
            return None
        found: click.Command = getattr(import_module(f"{__package__}.{name}"), name)
        return found


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: snn-deploy build --target loihi-emulator",
)
@click.version_option(package_name="snn-deploy")
def cli() -> None:
    """Deploy trained networks on neuromorphic hardware, spike for spike."""
