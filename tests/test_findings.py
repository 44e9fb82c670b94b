"""What is wrong is said: no network comes out at chance without a finding."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawing import UNSHRUNK, drawn
from drawn_networks import Case, cases, layered
from hypothesis import event
from small_networks import save, stripes

from snn_deploy import deploy
from snn_deploy.calibration.findings.answers import on_scores
from snn_deploy.calibration.report.report import Report, Score
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.toolchain.errors import DoesNotFit

EXAMPLES = int(os.environ.get("SNN_DEPLOY_EXAMPLES", "40"))  # now and then 400
NEAR, FAR = 0.05, 0.2  # of the trivial score: at chance, and well above
SAY_SO = {"at-baseline", "constant-answers", "no-output-spikes"}


def report_of(case: Case) -> Report:
    """The report of a build, without a search for what mends it."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(deploy, "mended", lambda findings, *_: findings)
        model, data = Path(name) / "net.snn", Path(name) / "data.npz"
        save(model, case.graph)
        np.savez(data, x=case.x, y=case.y)
        made = deploy.build(
            "reference", model, data, settings=case.settings, force=True
        )
        return made.report


@drawn(cases(), few=5, many=EXAMPLES, phases=UNSHRUNK)
def test_no_network_comes_out_at_chance_without_a_finding(case: Case) -> None:
    try:
        report = report_of(case)
    except DoesNotFit:
        event("does not fit")
        return
    first = report.scores[0]
    score = {s.name: s.value for s in report.scores if s.metric == first.metric}
    mine, ann = score.pop("integer SNN"), score.pop("float ANN")
    (trivial,) = score.values()
    found = {finding.id for finding in report.findings}
    able = ann > trivial + FAR
    event(f"float network able: {able}, at chance: {mine < trivial + NEAR}")
    if able and mine < trivial + NEAR:
        assert found & SAY_SO, (score, mine, ann)
    if ann > trivial + 2 * FAR and mine < trivial:
        assert report.worthless, report.findings
    if mine > trivial + FAR and abs(mine - ann) < NEAR:
        assert not report.worthless, report.findings


def followed(chosen: Settings, fix: str) -> Settings:
    """The settings with what a fix names."""
    (words,) = re.findall("^(.*) mends it", fix)
    for word in words.split(", "):
        steps, bits = (
            re.fullmatch(f"--{o} (\\d+)", word) for o in ("steps", "weight-bits")
        )
        if steps:
            chosen = replace(chosen, steps=int(steps[1]))
        elif bits:
            chosen = replace(chosen, weight_bits=int(bits[1]))
        elif word == "--calibrate fast":
            chosen = replace(chosen, calibrate="fast")
        else:
            (name,) = re.fullmatch("no --(.*)", word).groups()
            chosen = replace(chosen, **{name.replace("-", "_"): None})
    return chosen


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A network of three populations, and its data."""
    folder = tmp_path_factory.mktemp("findings")
    x, y = stripes(240)
    save(folder / "net.snn", layered(x, np.eye(3)[y], 3, width=16))
    np.savez(folder / "data.npz", x=x, y=y)
    return folder / "net.snn", folder / "data.npz"


@pytest.mark.parametrize(
    ("bad", "found", "fix"),
    [
        ({"max_rate": 3.0}, "no-output-spikes", "no --max-rate"),
        ({"calibrate": "none", "tau_syn": 0.05}, "at-baseline", "--calibrate fast, no"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ({"steps": 2}, "constant-answers", "--steps"),
                ({"steps": 12}, "too-few-steps", "--steps"),
                ({"max_rate": 10.0}, "at-baseline", "no --max-rate"),
                ({"weight_bits": 2}, "unlike-float", "--weight-bits 8"),
                (
                    {"tau_syn": 0.05, "weight_bits": 2},
                    "at-baseline",
                    "--weight-bits 8, no",
                ),
            )
        ),
    ],
    ids=str,
)
def test_a_finding_names_what_mends_it(files, bad, found, fix):
    def report(chosen: Settings) -> Report:
        return deploy.build("reference", *files, settings=chosen).report

    chosen = replace(Settings(steps=64), **bad)
    findings = report(chosen).findings
    named = next((each for each in findings if each.id == found), None)
    assert named is not None, findings
    assert named.fix.startswith(fix), named
    mended = report(followed(chosen, named.fix))
    assert found not in [each.id for each in mended.findings] and not mended.worthless
    assert mended.scores[0].value > mended.scores[1].value - 0.15


def scored(mine: tuple, ann: tuple, trivial: float) -> tuple[Score, ...]:
    """Scores with intervals, of a network, the float one and a trivial answer."""
    found = {"mine": mine, "ann": ann, "always": (trivial, trivial, trivial)}
    return tuple(
        Score(
            name=name,
            metric="accuracy",
            value=value,
            low=low,
            high=high,
            label="counted",
        )
        for name, (low, value, high) in found.items()
    )


@pytest.mark.parametrize(
    ("mine", "ann", "severity"),
    [
        ((0.4, 0.5, 0.6), (0.8, 0.9, 0.95), "error"),
        ((0.45, 0.55, 0.65), (0.8, 0.9, 0.95), "error"),  # above, but not for certain
        ((0.6, 0.7, 0.8), (0.8, 0.9, 0.95), None),
        ((0.2, 0.5, 0.8), (0.7, 1.0, 1.0), "warning"),  # few samples tell little
        ((0.2, 0.6, 0.8), (0.3, 0.6, 0.8), None),  # nor is the ANN better for certain
        ((0.4, 0.45, 0.5), (0.4, 0.45, 0.5), None),  # the ANN is no better itself
    ],
)
def test_what_is_at_the_baseline(mine, ann, severity):
    found = list(on_scores(scored(mine, ann, 0.5), "mine", "always"))
    assert [each.severity for each in found] == ([severity] if severity else [])


def test_of_a_network_that_has_no_float_one_the_baseline_alone_warns():
    mine, _, trivial = scored((0.4, 0.5, 0.6), (0, 0, 0), 0.5)
    (found,) = on_scores((mine, trivial), "mine", "always")
    assert found.severity == "warning"
