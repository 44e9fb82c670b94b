"""What to do about a Keras layer that has no equivalent."""

from __future__ import annotations

from collections.abc import Mapping

from .layers import CONVERTERS, IDENTITIES, LAYERS


def problem(kind: str) -> str | None:
    """Why a layer class cannot be converted and what to do; None where it can."""
    if kind in CONVERTERS or kind in IDENTITIES:
        return None
    allowed = ", ".join(sorted({*LAYERS, *IDENTITIES}))
    advice = ADVICE.get(kind, "build the network of these and train it again")
    return f"it has no equivalent; allowed are {allowed}; {advice}"


ADVICE: Mapping[str, str] = {
    "MaxPooling2D": (
        "use AveragePooling2D, or stride 2 in the convolution before it, and train "
        "again"
    ),
    "GlobalAveragePooling2D": "use AveragePooling2D of the picture's size and Flatten",
    "LeakyReLU": "a firing rate is never negative, use ReLU and train again",
    "ZeroPadding2D": (
        "leave it out, say padding='same' in the convolution after it and train again"
    ),
    "Lambda": "its code is not read and never run, put layers in its place",
    **dict.fromkeys(
        ("Functional", "Sequential", "Model"),
        "it is a model inside a model, put its layers into the outer one",
    ),
}
