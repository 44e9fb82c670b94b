"""A split travels with a network, by name and by content: nothing trained on tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.models.data.dataset import Dataset
from snn_deploy.models.data.parts import PARTS, Parts, known_split, noted, parts_of
from snn_deploy.toolchain.errors import DataError


def dataset(contents: list[str], names: list[str] | None = None, **more) -> Dataset:
    """One sample for each content, whose digest it is."""
    names = names or [f"{i}.png" for i in range(len(contents))]
    return Dataset(
        source="made",
        names=tuple(names),
        read=lambda indices, shape: np.zeros((len(indices), *shape), np.float32),
        digest=lambda indices: tuple(contents[i] for i in indices),
        answers=np.zeros(len(contents), np.int64),
        **more,
    )


def contents_of(data: Dataset, parts: Parts, part: str) -> set[str]:
    return set(data.digest(getattr(parts, part)))


@given(st.lists(st.integers(0, 30), min_size=12, max_size=60), st.integers(0, 5))
def test_every_sample_is_in_one_part_and_equals_are_in_the_same(kinds, seed):
    data = dataset([f"{kind:016x}" for kind in kinds])
    if len(set(kinds)) < 3:
        with pytest.raises(DataError, match="cannot be split"):
            parts_of(data, {}, seed)
        return
    parts = parts_of(data, {}, seed)
    every = np.concatenate([getattr(parts, part) for part in PARTS])
    assert sorted(every.tolist()) == list(range(len(kinds)))
    held = [contents_of(data, parts, part) for part in PARTS]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]


@given(st.integers(0, 4), st.integers(0, 9), st.randoms())
def test_no_sample_that_was_trained_on_is_tested_under_any_name(seed, other, random):
    contents = [f"{i:016x}" for i in range(40)]
    data = dataset(contents)
    parts = parts_of(data, {}, seed)
    metadata = noted(data, parts, {})
    learned = contents_of(data, parts, "train") | contents_of(data, parts, "validation")
    more = contents + [f"{i:016x}" for i in range(100, 100 + other)]
    random.shuffle(more)
    renamed = dataset(more, [f"new {i}" for i in range(len(more))])
    again = parts_of(renamed, metadata, seed + 1)
    assert not contents_of(renamed, again, "test") & learned
    assert contents_of(renamed, again, "train") == contents_of(data, parts, "train")
    assert (f"{other} new of {len(more)}" in again.how) == bool(other)
    assert not again.doubtful


def test_a_known_name_that_holds_something_else_is_told_apart():
    contents = [f"{i:016x}" for i in range(20)]
    data = dataset(contents)
    parts = parts_of(data, {}, 0)
    changed = list(contents)
    changed[parts.train[0]] = "f" * 16
    again = parts_of(dataset(changed), noted(data, parts, {}), 0)
    assert again.doubtful == (data.names[parts.train[0]],)
    assert parts.train[0] in again.train and "something else" in again.how
    rows = dataset(changed, by_name=False)  # rows have no names that would say
    again = parts_of(rows, noted(data, parts, {}), 0)
    assert not again.doubtful and parts.train[0] in again.test


def test_a_split_without_digests_goes_by_name_and_says_so():
    data = dataset([f"{i:016x}" for i in range(20)])
    parts = parts_of(data, {}, 3)
    names = {part: [data.names[i] for i in getattr(parts, part)] for part in PARTS}
    again = parts_of(data, {"split": names}, 0)
    for part in PARTS:
        np.testing.assert_array_equal(getattr(again, part), getattr(parts, part))
    assert "by name alone" in again.how


def test_what_was_trained_on_earlier_stays_known():
    """A network fine-tuned on other data keeps the first ones' split beside theirs."""
    first = dataset([f"{i:016x}" for i in range(20)])
    parts = parts_of(first, {}, 0)
    metadata = noted(first, parts, {})
    second = dataset([f"{i:016x}" for i in range(50, 70)])
    later = parts_of(second, metadata, 0)
    assert "made here" not in later.how
    merged = noted(second, later, metadata)
    known = known_split(merged)
    assert known is not None
    again = parts_of(first, merged, 1)
    assert contents_of(first, again, "test") == contents_of(first, parts, "test")


def test_units_and_groups_stay_together():
    contents = [f"{i:016x}" for i in range(60)]
    unit = tuple(f"volume {i // 3}" for i in range(60))
    group = tuple(f"person {i // 6}" for i in range(60))
    data = dataset(contents, unit=unit, group=group)
    parts = parts_of(data, {}, 0)
    for part in PARTS:
        mine = {group[i] for i in getattr(parts, part)}
        others = {group[i] for p in PARTS if p != part for i in getattr(parts, p)}
        assert not mine & others
    again = parts_of(data, noted(data, parts, {}), 9)
    np.testing.assert_array_equal(again.train, parts.train)


def test_the_datas_own_parts_are_kept():
    part = ["train"] * 30 + ["test"] * 10
    data = dataset([f"{i:016x}" for i in range(40)], part=tuple(part))
    parts = parts_of(data, {}, 0)
    assert parts.test.tolist() == list(range(30, 40))
    assert len(parts.validation) == 4 and len(parts.train) == 26
    with pytest.raises(DataError, match="1 training and 1 test"):
        parts_of(dataset(["0", "1"], part=("train", "test")), {}, 0)


@pytest.mark.parametrize(
    "damaged", [{"split": 3}, {"split": {"train": 3}}, {"split": {"x": []}}, {}]
)
def test_damaged_metadata_are_no_split(damaged):
    assert known_split(damaged) is None
