"""Stub."""
from ...program.program import Program
from ..contract import Written


def to_netx(program: Program) -> Written:
    raise NotImplementedError
