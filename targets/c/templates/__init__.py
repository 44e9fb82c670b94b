"""Texts of C files, with gaps that Jinja2 fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ..names import commented, quoted


def rendered(name: str, values: Mapping[str, Any]) -> str:
    """The file of this name, filled in."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(
            lambda name: (files(__package__) / f"{name}.j2").read_text("utf-8")
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is C, and what comes from files is ``commented``
    )
    environment.filters |= {
        "cell": lambda text: commented(text).replace("|", "\\|"),
        "commented": commented,
        "quoted": quoted,
    }
    environment.tests["calling"] = _calls
    return environment


def _calls(text: str, function: str) -> bool:
    """Whether C calls a function of this name; comments say nothing."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.search(rf"\b{function}\(", code) is not None
