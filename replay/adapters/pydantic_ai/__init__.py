"""The host for agents written with `pydantic_ai`. This package is loaded no sooner than that library is."""

from collections.abc import Generator
from contextlib import contextmanager

from replay.adapters._protocol import Conductor
from replay.adapters.pydantic_ai._compat import check
from replay.adapters.pydantic_ai._explicit import asking, record_model
from replay.adapters.pydantic_ai._explicit_tools import record_toolset
from replay.adapters.pydantic_ai._install import hooked

__all__ = ('asking', 'installed', 'record_model', 'record_toolset')


@contextmanager
def installed(conductor: Conductor) -> Generator[None]:
    """Ask `conductor` about each run of pydantic_ai that starts while the block is open, with logical readings.

    Raises:
        HookMissing: If the installed version lacks a place that this stands on.
    """
    check()
    with hooked(conductor):
        yield
