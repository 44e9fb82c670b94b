"""Access: where one applies for what no registry installs, and how that is said."""

from __future__ import annotations

from ..toolchain.errors import TargetUnavailable

INRC = (
    "http://neuromorphic.intel.com or inrc_interest@intel.com (Intel Neuromorphic "
    "Research Community)"
)  # as the README of Lava 0.10 has it


def no_access(target: str, missing: str, apply: str) -> TargetUnavailable:
    """The error of a board's target whose vendor's library is not here.

    Args:
        target: its name.
        missing: the library, and which versions of it are taken.
        apply: where.
    """
    return TargetUnavailable(
        f"Target {target!r}: no access: {missing} is not installed here, and is given "
        f"to members alone; apply at {apply}"
    )
