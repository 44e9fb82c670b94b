"""docs/microcontrollers.md: five commands make a firmware image of a bundle."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from test_cortex_m import needs_tools
from test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "microcontrollers.md"
BUNDLE = ROOT / "tests" / "bundles" / "program-0.1.0.snn"


@needs_tools
def test_five_commands_make_an_image_that_fires_the_golden_spikes(tmp_path: Path):
    (block,) = (b for b in blocks(PAGE, "console") if "vectors.c" in b)
    commands = [line.removeprefix("$ ") for line in block.splitlines()]
    assert len(commands) == 5
    (tmp_path / "build").mkdir()
    shutil.copy(BUNDLE, tmp_path / "build" / "program.snn")
    ours = f'snn-deploy() {{ "{sys.executable}" -m snn_deploy "$@"; }}'
    done = subprocess.run(
        ["bash", "-ec", "\n".join([ours, *commands])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b0 of 8 rasters differ", done.stdout)
