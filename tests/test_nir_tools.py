"""NIR files of snnTorch, Norse, Sinabs and SpikingJelly spike as those do."""

from __future__ import annotations

import shutil

import h5py
import pytest
from nir_tools_cases import CASES, FOLDER, NORSE, counted

from snn_deploy.toolchain.frontends.contract import Timing


@pytest.mark.parametrize("name", CASES)
def test_its_spikes_are_the_tools_own(name):
    """All of them, but for what a tool does otherwise than its file says."""
    found = counted(name, CASES[name].timing)
    for (differ, spikes, _), most in zip(found.values(), CASES[name].most, strict=True):
        assert spikes > 0
        assert differ <= most


def test_every_file_is_a_case():
    for ending in ("nir", "npz"):
        assert {path.stem for path in FOLDER.glob(f"*.{ending}")} == {*CASES}


@pytest.mark.parametrize(
    ("name", "timing"),
    [
        ("snntorch-dense", Timing(dt=1e-4, grid="exponential")),
        ("snntorch-dense", Timing(dt=1e-3, grid="exponential")),
        ("snntorch-subtract", Timing(dt=1e-4, grid="euler", reset="zero")),
        ("norse-dense", Timing(dt=1e-4, grid="exponential")),
        ("sinabs-dense", Timing(dt=1.0 - 1e-9, grid="euler")),
        ("spikingjelly-dense", Timing(dt=1e-4, grid="exponential")),
    ],
)
def test_another_grid_is_another_network(name, timing):
    """Which is why import says what it assumes."""
    (differ, spikes, _), _ = counted(name, timing).values()
    assert differ > 0.1 * spikes


def test_norse_does_what_its_file_says_once_the_file_is_right(tmp_path):
    """A spike adds 1 to a current in Norse, that is w_in = tau_syn / dt."""
    path = tmp_path / "right.nir"
    shutil.copy(FOLDER / "norse-cuba.nir", path)
    with h5py.File(path, "r+") as file:
        for name in ("first", "second"):
            node = file["node/nodes"][name]
            node["w_in"][...] = node["tau_syn"][...] / NORSE.dt
    found = counted("norse-cuba", NORSE, path=path)
    assert [differ for differ, *_ in found.values()] == [0, 0]
