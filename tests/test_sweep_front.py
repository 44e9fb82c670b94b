"""The front is what no point beats; journal and page hold what was found."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_cases import figures, outcome

from snn_deploy.sweeps.front import front
from snn_deploy.sweeps.journal import file_of, find_outcome, opened
from snn_deploy.sweeps.page import Axis, page
from snn_deploy.sweeps.space import Space
from snn_deploy.sweeps.table import Result, print_result
from snn_deploy.toolchain.errors import DataError

OBJECTIVES = ("score", "energy", "cores")
SPACE = Space(fixed={"model": "<b>.h5"}, varied={"steps": (8, 16)})


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=12
    ),
    st.sampled_from([1, -1]),
)
def test_a_point_is_on_the_front_where_none_beats_it(table, better):
    found = [
        outcome(i, figures(score=float(s), energy=float(e), cores=c, better=better))
        for i, (s, e, c) in enumerate(table)
    ]

    def beats(one, other) -> bool:
        signed = [(-better * s, e, c) for s, e, c in (one, other)]
        return signed[0] != signed[1] and all(a <= b for a, b in zip(*signed))

    expected = {
        i
        for i, mine in enumerate(table)
        if not any(beats(other, mine) for other in table)
    }
    got = front(found, OBJECTIVES)
    assert {each.number for each in got} == expected
    scores = [better * each.figures.score for each in got]
    assert scores == sorted(scores, reverse=True)


def test_failures_trivial_answers_and_missing_figures_are_on_no_front():
    found = (
        outcome(0, None),
        outcome(1, figures(score=0.34, trivial=0.34, energy=0.0, spikes=0.0)),
        outcome(2, figures(energy=None, spikes=5.0)),
        outcome(3, figures(score=0.9, trivial=0.34, energy=1.0)),
    )
    assert [each.number for each in front(found, OBJECTIVES)] == [3]
    assert [each.number for each in front(found, ("score", "spikes"))] == [3, 2]


def test_a_finished_point_is_kept_and_found_again(tmp_path):
    kept = [outcome(0, figures(cores=None), steps="8"), outcome(7, None, steps="16")]
    with opened(tmp_path / "s", SPACE.noted()) as journal:
        assert journal.finished() == {}
        for each in kept:
            journal.keep(each)
    with opened(tmp_path / "s", SPACE.noted()) as journal:
        assert journal.finished() == {0: kept[0], 7: kept[1]}
    assert find_outcome(f"{tmp_path / 's'}:0") == kept[0]
    assert find_outcome(str(file_of(tmp_path / "s", 0))) == kept[0]
    for name, said in (
        (":7", "it failed .it does not fit"),
        (":3", "no such"),
        ("", "no such"),
    ):
        with pytest.raises(DataError, match=said):
            find_outcome(f"{tmp_path / 's'}{name}")


def test_a_folder_is_one_sweep_s_and_one_process_s(tmp_path):
    with opened(tmp_path, SPACE.noted()):
        with pytest.raises(DataError, match="a sweep is going on in it"):
            with opened(tmp_path, SPACE.noted()):
                pass
    other = Space(fixed={}, varied=SPACE.varied, seed=1)
    with pytest.raises(DataError, match="other fixed, seed; name another"):
        with opened(tmp_path, other.noted()):
            pass
    more = Space(fixed=SPACE.fixed, varied=SPACE.varied, points=99)
    with opened(tmp_path, more.noted()):
        pass


@pytest.mark.parametrize(
    "damage", [b"{", b"[]", b'{"number": 0}', b'{"number": NaN}', b"\xff"]
)
def test_a_damaged_point_is_told_and_not_taken_for_one(tmp_path, damage):
    with opened(tmp_path, SPACE.noted()) as journal:
        journal.keep(outcome(0, figures()))
        file_of(tmp_path, 0).write_bytes(damage)
        with pytest.raises(DataError, match="0000.json.*remove it"):
            journal.finished()


class Reader(HTMLParser):
    """Cells of the table, and everything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def result() -> Result:
    found = (
        outcome(0, figures(score=0.9), steps="8"),
        outcome(1, figures(score=0.8), steps="16"),
        outcome(2, None, steps="<script>alert(1)</script>"),
    )
    return Result(space=SPACE, outcomes=found, front=front(found, OBJECTIVES))


def test_the_page_is_whole_and_every_name_is_text():
    read = Reader()
    text = page(result(), "Sweep <i>x</i>").decode()
    read.feed(text)
    assert not read.fetched and not re.search(r"https?:|@import|url\(", text)
    assert not {"script", "b", "i"} & set(read.tags)
    header, first, second, third = read.rows
    assert header[:3] == ["point", "steps", "accuracy"] and header[-1] == "front"
    assert first[:3] == ["0", "8", "0.900"] and first[-1] == "yes"
    assert second[:3] == ["1", "16", "0.800"] and second[-1] == ""
    assert third == ["2", "<script>alert(1)</script>", "it does not fit"]
    assert read.tags.count("circle") == 2 and "test samples chose nothing" in text


def test_a_page_of_failures_alone_has_no_plot():
    lost = (outcome(0, None, steps="8"),)
    text = page(Result(space=SPACE, outcomes=lost, front=()), "Sweep").decode()
    assert "<svg" not in text and "it does not fit" in text


AMOUNTS = st.just(0.0) | st.floats(1e-15, 1e12)


@settings(deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=9), st.booleans())
def test_an_axis_holds_its_values(values, log):
    axis = Axis.of(values, 56.0, 624.0, log)
    assert all(56 <= axis.at(value) <= 624 for value in values)
    at = [tick.at for tick in axis.ticks(str)]
    assert at == sorted(at)


def test_the_table_on_the_terminal(capsys):
    from rich.console import Console

    print_result(result(), Console(width=80))
    told = capsys.readouterr().out
    assert "0       8" in told and "1      16" not in told
    assert "1 of 3 points" in told and "failed: 2: it does not fit" in told
    assert "judged on 30 samples of the validation part; test samples chose" in told
