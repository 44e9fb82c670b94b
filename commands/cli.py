"""The command line: words in, ``deploy`` does it, words and files out.

A verb is one file here, which holds a command of the file's name, and one word in
``VERBS``; where it takes several files, a room of theirs.
"""

from __future__ import annotations

from importlib import import_module

import click

VERBS = (
    *("build", "run", "compare", "report", "training.train", "training.finetune"),
    *("targets", "import_", "export", "check", "calibrate", "diff", "sweep", "doctor"),
    *("remote.pack", "remote.accept", "remote.env"),
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: snn-deploy build --target loihi-emulator",
)
@click.version_option(package_name="snn-deploy")
def cli() -> None:
    """Deploy trained networks on neuromorphic hardware, spike for spike."""


for verb in VERBS:
    file = import_module(f"{__package__}.{verb}")
    cli.add_command(getattr(file, verb.rpartition(".")[2]))
