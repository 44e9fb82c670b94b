"""Environments of targets: made by the Python that their libraries need, or not at all.

What pip would fetch for minutes is not fetched here.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import pytest

from snn_deploy.remote import environment


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The user's data, empty; no index for pip."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


def test_no_index_is_a_sentence_and_leaves_nothing(data, run_cli, capsys):
    pytest.importorskip("ensurepip")
    try:
        environment._python()
    except environment.TargetUnavailable as error:
        pytest.skip(str(error))
    assert run_cli("env", "create", "lava") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("Error: Environment 'lava': ")
    assert "[lava]" in last and "cannot be installed (" in last
    assert not list((data / "snn-deploy" / "environments").iterdir())


def test_a_whole_one_is_kept(data, run_cli, capsys):
    folder = data / "snn-deploy" / "environments" / "lava"
    folder.mkdir(parents=True)
    (folder / environment.READY).touch()
    assert run_cli("env", "create", "lava") == 0
    assert capsys.readouterr().out == f"{folder}/bin/python\n"


def test_no_such_python_is_a_sentence(data, run_cli, capsys, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", str(data))
    assert run_cli("env", "create", "lava") == 2
    assert "Python 3.10 is not installed here; uv python" in capsys.readouterr().err


def test_an_unknown_target_is_a_sentence(data, run_cli, capsys):
    assert run_cli("env", "create", "../lava") == 2
    assert "Target '../lava' is unknown" in capsys.readouterr().err


def test_it_installs_what_is_here():
    """From the folder that this one came from, or its own version."""
    *_, found = environment.requirement("lava")
    assert found.endswith(("[lava]", f"snn-deploy[lava]=={version('snn-deploy')}"))
    *_, bare = environment.requirement("")
    assert bare == found.replace("[lava]", "")
