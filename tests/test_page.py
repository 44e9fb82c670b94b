"""The page: what it says is what report.json holds, and it needs nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shown_networks import HOSTILE, SHOWN, shown

from snn_deploy.calibration.report.page.formats import formatted
from snn_deploy.calibration.report.page.markdown import markdown_of
from snn_deploy.calibration.report.page.page import page_of
from snn_deploy.calibration.report.report import Report
from snn_deploy.toolchain.errors import DataError

DATA = Path(__file__).parent / "data"
VOID = {"meta", "link", "br", "img", "input", "hr"}
MARKS = {"tick"}  # of an axis: no figures
NAMES = {  # of things, which have digits in them
    *("SHA-256", "NeuroBench's metrics"),
}
PREFIX = {"G": 1e9, "M": 1e6, "k": 1e3, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12}


class Page(HTMLParser):
    """Texts of a page: those with a place in report.json, and all others."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[tuple[str, str, str]] = []  # pointer, format, text
        self.others: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append((tag, dict(attributes)))
            if "data-path" in dict(attributes):
                found = dict(attributes)
                self.figures.append((found["data-path"], found["data-format"], ""))

    def handle_endtag(self, tag):
        if tag not in VOID and self.open and self.open[-1][0] == tag:
            self.open.pop()

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if {"script", "style", "title"} & set(tags) and "svg" not in tags:
            return
        if any("data-path" in found for _, found in self.open):
            place, form, text = self.figures[-1]
            self.figures[-1] = (place, form, text + data)
        elif not any(MARKS & set((f.get("class") or "").split()) for _, f in self.open):
            self.others.append(data)


def at(table: object, pointer: str) -> object:
    """The value at a JSON pointer (RFC 6901)."""
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        table = table[int(token)] if isinstance(table, list) else table[token]
    return table


def read(text: str) -> float:
    """A number as a reader takes it: 1.50 µJ is 1.5e-6."""
    found = re.match(r"(-?[\d.\u202f]+(?:e[+-]?\d+)?)\s?([GMkmµnp])?(%)?", text)
    assert found, text
    value = float(found[1].replace("\u202f", "")) * PREFIX.get(found[2] or "", 1)
    return value / 100 if found[3] else value


@pytest.fixture(params=SHOWN)
def built(request) -> Path:
    return shown(request.param)


def test_every_value_is_the_one_of_report_json(built):
    table = json.loads((built / "report.json").read_text())
    figures = Page((built / "report.html").read_bytes()).figures
    assert len(figures) > 200
    for pointer, form, text in figures:
        value = at(table, pointer)
        assert text == formatted(value, form), pointer
        if form in {"short", "energy", "percent", "score", "whole", "hertz"} and value:
            if value is not None and isinstance(value, int | float):
                least = {"percent": 0.006, "score": 6e-4}.get(form, 0.006 * abs(value))
                assert abs(read(text) - value) <= max(least, 0.006 * abs(value)), text


def test_no_number_stands_beside_them(built):
    """A digit that is of no place in report.json is a tick of an axis, or a name."""
    others = Page((built / "report.html").read_bytes()).others
    table = json.loads((built / "report.json").read_text())
    names = {
        *table["utilization"],
        *(layer["name"] for layer in table["layers"]),
    } | NAMES
    named = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    loose = [text for text in others if re.search(r"\d", named.sub("", text))]
    assert loose == []


def test_it_asks_for_nothing(built):
    """One file: no address to load from, and a policy that forbids it."""
    content = (built / "report.html").read_bytes()
    assert len(content) < 5e6
    page = Page(content)
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,", "data:,")), value
    (policy,) = (a["content"] for _, a in page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy


def test_what_a_screen_reader_needs_is_there(built):
    page = Page((built / "report.html").read_bytes())
    tags = [tag for tag, _ in page.tags]
    assert tags.count("h1") == 1 and tags.count("main") == 1
    assert tags.count("table") == tags.count("caption")
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-labelledby"] in ids
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if tag == "img":
            assert attributes["alt"]
        if tag == "a":
            assert attributes["href"][1:] in ids


def hostile(report: Report) -> Report:
    """The report with names that would do harm if they were obeyed."""
    layers = tuple(replace(layer, name=HOSTILE) for layer in report.layers)
    assert report.figures is not None and report.provenance is not None
    histograms = tuple(
        replace(each, layer=HOSTILE) for each in report.figures.histograms
    )
    predictions = replace(
        report.figures.predictions,
        samples=tuple(
            replace(sample, sample=HOSTILE, picture='"><script>alert(2)</script>')
            for sample in report.figures.predictions.samples
        ),
    )
    return replace(
        report,
        target='"><img src=x onerror=alert(3)>',
        source="</style></title><script>alert(4)</script>\x1b[2J\u202e",
        layers=layers,
        figures=replace(report.figures, histograms=histograms, predictions=predictions),
        provenance=replace(report.provenance, model=HOSTILE, command="`<b>`"),
    )


def test_hostile_names_stay_text():
    report = hostile(Report.from_json(shown("classes") / "report.json"))
    content = page_of(report)
    page = Page(content)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert HOSTILE in {text for _, _, text in page.figures}
    assert b"\x1b" not in content and "\u202e" not in content.decode()
    text = markdown_of(report)
    assert "<script" not in text and "\x1b" not in text
    assert "&lt;script&gt;" in text


def test_a_report_whose_parts_do_not_go_together_is_refused():
    report = Report.from_json(shown("classes") / "report.json")
    figures = replace(
        report.figures,
        histograms=tuple(replace(h, edges=()) for h in report.figures.histograms),
    )
    with pytest.raises(DataError, match="do not go together"):
        page_of(replace(report, figures=figures))


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_what_an_older_version_did_not_record_is_said(schema):
    page = Page(page_of(Report.from_json(DATA / f"report-{schema}.json")))
    assert sum("Not recorded:" in text for text in page.others) >= 5
    missing = [place for place, _, text in page.figures if text == "not recorded"]
    assert ("/layers/1/macs" in missing) == (schema == 1)


def test_the_answers_follow_from_the_figures():
    words = [
        text.strip()
        for text in Page((shown("classes") / "report.html").read_bytes()).others
    ]
    report = Report.from_json(shown("classes") / "report.json")
    found = {s.name: s.value for s in report.scores if s.metric == "accuracy"}
    better = found["integer SNN"] >= found["float ANN"]
    assert ("Yes" in words) or not better
    assert "Not asked: this target has no cores" in words


def test_markdown_holds_answers_and_layers():
    report = Report.from_json(shown("masks") / "report.json")
    text = markdown_of(report)
    assert "| Does it work as well as the ANN? |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 6 + 2 + len(report.layers)
    assert len({row.replace("\\|", "").count("|") for row in rows[6:]}) == 1


def test_the_verb_writes_the_same_page_from_report_json_alone(run_cli, tmp_path):
    (tmp_path / "r.json").write_bytes((shown("boxes") / "report.json").read_bytes())
    words = ("report", tmp_path / "r.json", "--format", "html")
    assert run_cli(*words, "--out", tmp_path / "page.html") == 0
    made = (tmp_path / "page.html").read_bytes()
    assert made == (shown("boxes") / "report.html").read_bytes()


@pytest.mark.parametrize("form", ["terminal", "html", "markdown", "json"])
def test_the_verb_prints_what_it_writes(run_cli, tmp_path, capsys, form):
    words = ("report", shown("values"), "--format", form)
    assert run_cli(*words) == 0
    printed = capsys.readouterr().out
    assert run_cli(*words, "--out", tmp_path / "file") == 0
    written = (tmp_path / "file").read_text()
    same = json.loads if form == "json" else str.split
    if form == "json":  # a file says how its figures came about too
        about = ("labels", "sources")
        assert {**same(printed), **{k: same(written)[k] for k in about}} == same(
            written
        )
    else:
        assert same(printed) == same(written)
