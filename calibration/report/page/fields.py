"""Field: a value of report.json that knows where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Field:
    """A value and its JSON pointer (RFC 6901); its parts are Fields too.

    >>> field = Field({"layers": [{"name": "a/b"}]})
    >>> for layer in field.layers:
    ...     print(layer.name, pointer(layer.name))
    a/b /layers/0/name
    >>> pointer(Field({"a/b": 1})["a/b"])
    '/a~1b'
    """

    def __init__(self, value: Any, pointer: str = "") -> None:
        self._value, self._pointer = value, pointer

    def __getitem__(self, key: str | int) -> Field:
        """A part; raises KeyError or IndexError where there is none."""
        token = str(key).replace("~", "~0").replace("/", "~1")
        return Field(self._value[key], f"{self._pointer}/{token}")

    def __getattr__(self, name: str) -> Field:
        if name.startswith("_"):  # of Python's own protocols
            raise AttributeError(name)
        try:
            return self[name]
        except (KeyError, TypeError) as error:
            raise AttributeError(name) from error

    def __iter__(self) -> Iterator[Field]:
        """The parts of a list, or of a mapping in its order."""
        keys = self._value if isinstance(self._value, dict) else range(len(self))
        return (self[key] for key in keys)

    def __len__(self) -> int:
        """Number of parts."""
        return len(self._value)

    def __bool__(self) -> bool:
        """Whether there is something: a value other than None, text, or parts."""
        return self._value is not None and self._value != "" and self._value != []

    def __str__(self) -> str:
        return str(self._value)


def value_of(field: Any) -> Any:
    """The value itself; of what is no Field, that."""
    return field._value if isinstance(field, Field) else field


def pointer(field: Field) -> str:
    """Where it stands."""
    return field._pointer
