"""How a figure came about."""

from __future__ import annotations

from typing import Literal

Mode = Literal["counted", "estimated", "simulated", "measured", "unavailable"]
"""counted: exactly, of what the target recorded. estimated: counts times constants of
somebody else. simulated: by another simulator. measured: on a device or with a clock.
unavailable: there is no figure, and the source says why."""
