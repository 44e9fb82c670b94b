"""HDF5's heaps of texts: those that would keep its library for ever are refused."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.frontends.heaps import HEADER, MOST, demand_ended_heaps
from snn_deploy.toolchain.frontends.netx.netx import imported

NETWORK = Path(__file__).parent / "netx_files" / "loops.net"


def free_space(content):
    """Where the size of a heap's free object stands."""
    start = content.index(b"GCOL")
    at = start + HEADER
    while content[at : at + 2] != b"\0\0":
        size = int.from_bytes(content[at + 8 : at + 16], "little")
        at += HEADER + -(-size // 8) * 8
    return at + 8


def number(value):
    return value.to_bytes(8, "little")


@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=90), max_size=60))
def test_files_of_h5py_are_in_order(texts):
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        for count, text in enumerate(texts):
            opened[str(count)] = text.replace("\0", "")
    demand_ended_heaps(file)


@pytest.mark.parametrize("size", [0, 32, 1448])
def test_a_free_object_after_which_nothing_goes_on_is_refused(tmp_path, size):
    """h5py would not come back from such a file."""
    content = bytearray(NETWORK.read_bytes())
    at = free_space(content)
    content[at : at + 8] = number(size)
    path = tmp_path / "net.net"
    path.write_bytes(content)
    with pytest.raises(OSError, match="its heaps of texts have no end"):
        demand_ended_heaps(path)
    with pytest.raises(ModelError, match="it is damaged .its heaps of texts have no"):
        imported(path)


def test_more_objects_than_any_network_has_are_refused_soon(tmp_path):
    """Each signature counts, so that many heaps inside each other do not multiply."""
    piece = b"GCOL\1\0\0\0" + number(1 << 40)
    object_ = b"\1\0\1\0\0\0\0\0" + number(0)
    start = NETWORK.read_bytes()[:64]
    (tmp_path / "net.net").write_bytes(start + piece + object_ * (MOST + 2))
    with pytest.raises(OSError, match="have no end"):
        demand_ended_heaps(tmp_path / "net.net")


def test_lengths_of_other_sizes_are_refused(tmp_path):
    content = bytearray(NETWORK.read_bytes())
    content[14] = 4
    with pytest.raises(OSError, match="its lengths have other than 8 bytes"):
        demand_ended_heaps(io.BytesIO(content))


def test_a_text_that_says_gigabytes_is_refused_before_room_is_made(tmp_path):
    path = tmp_path / "net.net"
    with h5py.File(NETWORK) as file:
        place = file["layer/0/neuron/type"].id.get_offset()
    content = bytearray(NETWORK.read_bytes())
    content[place : place + 4] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ModelError, match="a text of it has 3221225472 bytes"):
        imported(path)


@pytest.mark.parametrize(("at", "told"), [(4, "is in no heap"), (12, "has no number")])
def test_a_text_that_is_not_where_it_points_is_refused(tmp_path, at, told):
    """Where h5py would end in a segmentation fault."""
    path = tmp_path / "net.net"
    with h5py.File(NETWORK) as file:
        place = file["layer/0/neuron/type"].id.get_offset() + at
    content = bytearray(NETWORK.read_bytes())
    content[place : place + 4] = b"\x70\x00\x00\x00"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=told):
        imported(path)


def test_a_text_in_pieces_is_refused(tmp_path):
    path = tmp_path / "net.net"
    path.write_bytes(NETWORK.read_bytes())
    with h5py.File(path, "a") as file:
        del file["layer/0/neuron/type"]
        kind = h5py.string_dtype()
        file.create_dataset("layer/0/neuron/type", (1,), kind, ["CUBA"], chunks=(1,))
    with pytest.raises(ModelError, match="a text of it is stored in pieces"):
        imported(path)


def test_a_root_whose_links_lead_nowhere_is_one_sentence(tmp_path, run_cli, capsys):
    """h5py raises KeyError there already when it lists their names."""
    content, found = bytearray(NETWORK.read_bytes()), set()
    for place in range(48, 100):
        changed = bytearray(content)
        changed[place] ^= 255
        (tmp_path / "net.net").write_bytes(changed)
        code = run_cli("import", tmp_path / "net.net", "--out", tmp_path / "net.snn")
        found.add(code)
        told = capsys.readouterr().err
        assert code == 0 or code == 2 and told.count("\n") == 1, place
    assert 2 in found
