"""``snn-deploy accept``: a Recording from another machine, judged."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..options import BUNDLE, PATH, consoles, json_option


@click.command(epilog="Example: snn-deploy accept locnet.snn locnet.recording")
@BUNDLE
@click.argument("recording", type=PATH)
@json_option("the verdict")
def accept(bundle: Path, recording: Path, as_json: bool) -> None:
    """Hold a RECORDING to the golden spikes of the packed BUNDLE that it is of.

    Integer targets and hardware: spike for spike. Float simulations: as compare does.
    Exit code 1 where it does not agree.
    """
    from ... import packing
    from ...calibration.report.verdict import print_verdict, to_json

    stdout, _ = consoles()
    found = packing.accept(bundle, recording)
    if as_json:
        click.echo(to_json(found.verdict, found.histories, found.scores))
    else:
        print_verdict(found.verdict, found.histories, stdout, found.scores)
    sys.exit(0 if found.verdict.agrees else 1)
