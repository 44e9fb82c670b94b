"""Which samples train, choose and test: fixed by a seed, and kept by what they hold.

A network that was trained here carries its split: for every part the names of its
units and a digest of what each holds. A sample that was trained on is found again under
any name, and one under a known name that holds something else is told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from ...toolchain.errors import DataError
from .dataset import Dataset, IndexArray
from .digest import group
from .split import split

PARTS = ("train", "validation", "test")
Known = Mapping[str, Mapping[str, list[str]]]
""""split" and "digests" of a network's metadata: part → names, part → digests."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts:
    """Indices of the samples of each part; every sample is in one.

    Attributes:
        how: where the split is from, in words.
        doubtful: names of units of which it cannot be told whether they were trained
            on.
    """

    train: IndexArray
    validation: IndexArray
    test: IndexArray
    how: str
    doubtful: tuple[str, ...] = ()


def parts_of(
    data: Dataset, metadata: Mapping[str, Any], seed: int, block: int = 1
) -> Parts:
    """The split that the network was trained with, else that of the data, else anew.

    Samples that the network's split does not know join the test part, unless it knows
    none of them.

    Args:
        data: the samples.
        metadata: of the network; ``known_split`` reads it.
        seed: of a split made anew.
        block: neighbouring units that stay in one part of it.

    Raises:
        DataError: too few samples.
    """
    known = known_split(metadata)
    if known is not None:
        found = _recognised(data, known)
        if found is not None:
            return found
    if data.part is not None:
        return _given(data, seed)
    labels = _labels(data)
    order = sorted(set(labels))
    dealt = split(order, seed, block)
    where = {order[i]: part for part in PARTS for i in getattr(dealt, part)}
    how = f"test part of a split of seed {seed}"
    if known is None and "finetuned" not in metadata:
        how += " (what the network was trained on is not known here)"
    return _collected([where[label] for label in labels], how)


def noted(
    data: Dataset, parts: Parts, earlier: Mapping[str, Any]
) -> dict[str, dict[str, list[str]]]:
    """ "split" and "digests" for the metadata of a network trained with these parts.

    Args:
        earlier: metadata of the network that it was made from: what that one was
            trained with stays known.
    """
    units, digests = _units(data), _digests(data)
    split_: dict[str, list[str]] = {part: [] for part in PARTS}
    sums: dict[str, list[str]] = {part: [] for part in PARTS}
    for part in PARTS:
        mine = dict.fromkeys(units[i] for i in getattr(parts, part))
        split_[part] = list(mine)
        sums[part] = [digests[name] for name in mine]
    known = known_split(earlier)
    if known is not None:
        listed = {name for names in split_.values() for name in names}
        held = {digest for part in sums.values() for digest in part}
        for part in PARTS:
            names = known["split"].get(part, [])
            given = known["digests"].get(part, [""] * len(names))
            for name, digest in zip(names, given):
                if digest in held or (not digest and name in listed):
                    continue
                split_[part].append(name)
                sums[part].append(digest)
    return {"split": split_, "digests": sums}


def known_split(metadata: Mapping[str, Any]) -> Known | None:
    """The split in a network's metadata, digests empty where it has none; or None."""

    def lists(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            part in PARTS
            and isinstance(listed, list)
            and all(isinstance(item, str) for item in listed)
            for part, listed in value.items()
        )

    names, digests = metadata.get("split"), metadata.get("digests", {})
    if not lists(names) or not lists(digests):
        return None
    assert isinstance(names, Mapping)
    if any(len(digests[part]) != len(names.get(part, ())) for part in digests):
        return None
    return {"split": names, "digests": digests}


def _units(data: Dataset) -> tuple[str, ...]:
    return data.names if data.unit is None else data.unit


def _digests(data: Dataset) -> dict[str, str]:
    """Unit → digest of what its samples hold."""
    each = data.digest(np.arange(len(data.names)))
    if data.unit is None:
        return dict(zip(data.names, each))
    held: dict[str, list[str]] = {}
    for unit, digest in zip(data.unit, each):
        held.setdefault(unit, []).append(digest)
    return {unit: joined(digests) for unit, digests in held.items()}


def joined(digests: Sequence[str]) -> str:
    """The digest of a unit, of its samples' digests."""
    return blake2b("".join(digests).encode(), digest_size=8).hexdigest()


def _labels(data: Dataset) -> list[str]:
    """Of each sample, what must stay in one part: its group, and its equals."""
    units, digests = _units(data), _digests(data)
    groups = units if data.group is None else data.group
    return [groups[i] for i in group(groups, [digests[unit] for unit in units])]


def _given(data: Dataset, seed: int) -> Parts:
    """The data's own training and test parts; a share of the first validates."""
    assert data.part is not None
    part = np.array(data.part)
    train = np.flatnonzero(part == "train")
    test = np.flatnonzero(part == "test")
    if len(train) < 2 or not len(test):
        raise DataError(
            f"{data.source}: {len(train)} training and {len(test)} test samples; at "
            "least two and one are needed"
        )
    held = max(1, round(0.15 * len(train)))
    dealt = np.random.default_rng(seed).permutation(train)
    validation, rest = np.sort(dealt[:held]), np.sort(dealt[held:])
    return Parts(train=rest, validation=validation, test=test, how="its own test part")


def _recognised(data: Dataset, known: Known) -> Parts | None:
    """Each unit where the network's split has it; None where it knows none of them."""
    by_digest = {
        digest: part
        for part in reversed(PARTS)  # trained on counts most
        for digest in known["digests"].get(part, ())
        if digest
    }
    by_name = {
        name: part for part in reversed(PARTS) for name in known["split"].get(part, ())
    }
    digests = _digests(data)
    where: dict[str, str] = {}
    new, doubtful = [], []
    for unit, digest in digests.items():
        if digest in by_digest:
            where[unit] = by_digest[digest]
        elif unit in by_name and (data.by_name or not by_digest):
            where[unit] = by_name[unit]
            if by_digest:
                doubtful.append(unit)
        else:
            where[unit] = "test"
            new.append(unit)
    if len(new) == len(digests):
        return None
    how = "test part of the model's split"
    if new:
        how += f", which {len(new)} new of {len(digests)} joined"
    if not by_digest:
        how += ", known by name alone"
    if doubtful:
        how += (
            f"; {len(doubtful)} bear a known name and hold something else, such as "
            f"{doubtful[0]!r}: they stay in that name's part"
        )
    return _collected([where[unit] for unit in _units(data)], how, tuple(doubtful))


def _collected(parts: Sequence[str], how: str, doubtful: tuple[str, ...] = ()) -> Parts:
    array = np.array(parts)
    indices = {part: np.flatnonzero(array == part) for part in PARTS}
    return Parts(**indices, how=how, doubtful=doubtful)
