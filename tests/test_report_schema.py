"""report.json: its published schema, its provenance, and reports of older versions."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import jsonschema
import numpy
import pytest
from click.testing import CliRunner
from shown_networks import NETWORKS, shown

from snn_deploy.calibration.report.report import SCHEMA, Report
from snn_deploy.calibration.report.schema import report_schema
from snn_deploy.commands.cli import cli
from snn_deploy.toolchain.errors import DataError

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "docs" / "report.schema.json"
OLD = ROOT / "tests" / "data"


def valid(table: object) -> None:
    """Raise where the table is none of the published schema."""
    jsonschema.validate(table, json.loads(PUBLISHED.read_text()))


def test_the_published_schema_is_the_reports():
    """To write it anew: json.dumps(report_schema(), indent=1, ensure_ascii=False)."""
    jsonschema.Draft202012Validator.check_schema(report_schema())
    assert json.loads(PUBLISHED.read_text()) == report_schema()


@pytest.mark.parametrize("kind", NETWORKS)
def test_reports_are_valid(kind):
    table = json.loads((shown(kind) / "report.json").read_text())
    valid(table)
    with pytest.raises(jsonschema.ValidationError):
        valid({**table, "schema": SCHEMA + 1})
    with pytest.raises(jsonschema.ValidationError):
        valid({**table, "unheard_of": 1})


@pytest.mark.parametrize("schema", range(1, SCHEMA))
def test_a_report_of_an_older_version_is_read(schema, tmp_path):
    """They were written by the versions that had these schemas."""
    old = json.loads((OLD / f"report-{schema}.json").read_text())
    assert old["schema"] == schema
    report = Report.from_json(OLD / f"report-{schema}.json")
    assert report.schema == SCHEMA and report.provenance is None
    assert report.figures is None
    for row, layer in zip(old["layers"], report.layers):
        assert layer.spikes == row["spikes"] and layer.name == row["name"]
        macs = row.get("macs") if schema > 1 else None
        assert layer.macs == macs
        assert layer.incoming_synapses == row.get(
            "dense_macs", row.get("incoming_synapses")
        )
    assert [s.value for s in report.scores] == [s["value"] for s in old["scores"]]
    doubts = [f.message for f in report.findings]
    assert doubts == old.get("doubts", [])
    report.to_json(tmp_path / "report.json")
    valid(json.loads((tmp_path / "report.json").read_text()))
    assert Report.from_json(tmp_path / "report.json") == report


@pytest.mark.parametrize("broken", [{"layers": 3}, {"layers": [3]}, {"total": None}])
def test_an_older_report_that_is_damaged_is_said_to_be(broken, tmp_path):
    for schema in range(1, SCHEMA):
        old = json.loads((OLD / f"report-{schema}.json").read_text())
        (tmp_path / "report.json").write_text(json.dumps({**old, **broken}))
        with pytest.raises(DataError, match="damaged"):
            Report.from_json(tmp_path / "report.json")


def test_provenance_names_model_data_settings_and_versions():
    report = Report.from_json(shown("classes") / "report.json")
    made = report.provenance
    assert made is not None
    model = shown("classes").parent / "net.snn"
    assert made.model == "net.snn"
    assert made.model_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert made.command == "snn-deploy build --target reference --task classes"
    assert made.encoder == "bias" and "xy" in made.data
    assert made.settings["steps"] == "48" and made.settings["tau_syn"] == "default"
    assert made.settings["calibrate"] == "fast" and made.settings["dt"] == "0.001 s"
    assert made.versions["python"].startswith("3.")
    assert made.versions["numpy"] == numpy.__version__
    assert made.versions["python"] == sys.version.split()[0]
    written = datetime.strptime(made.date, "%Y-%m-%dT%H:%M:%SZ")
    assert written.year >= 2026
    assert report.calibration  # its choices


def test_run_writes_report_and_page_together(run_cli, tmp_path):
    bundle = shown("classes") / "program.snn"
    words = ("run", bundle, "--target", "reference", "--samples", 8)
    assert run_cli(*words, "--out", tmp_path / "out") == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "report.json",
        "report.html",
    }
    report = Report.from_json(tmp_path / "out" / "report.json")
    assert report.provenance is not None and report.figures is not None
    assert report.provenance.command.startswith("snn-deploy run program.snn")
    assert report.provenance.model == "program.snn"
    assert report.figures.curve is not None and report.confusion is not None
    valid(json.loads((tmp_path / "out" / "report.json").read_text()))


def test_a_report_knows_the_program_that_it_was_written_with(tmp_path):
    """As one of both is left where a build into a folder is killed in between."""
    shutil.copytree(shown("classes"), tmp_path / "out")
    file, program = tmp_path / "out" / "report.json", tmp_path / "out" / "program.snn"
    report = Report.from_json(file)
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    assert report.provenance.program_sha256 == digest
    done = CliRunner().invoke(cli, ["report", str(tmp_path / "out")])
    assert done.exit_code == 0 and "another build" not in done.output
    shutil.copy(shown("boxes") / "program.snn", program)
    done = CliRunner().invoke(cli, ["report", str(tmp_path / "out")])
    assert "program.snn is of another build than" in done.output.replace("\n", " ")
    program.unlink()
    assert not report.of_another(program)
