"""What a run comes to."""

import warnings
from dataclasses import dataclass
from typing import Generic

from agentrun._records import no_defaults_repr
from agentrun.output import OutputDataT
from agentrun.usage import RunUsage

__all__ = ('FinalResult', 'RunUsage')


@dataclass(repr=False)
class FinalResult(Generic[OutputDataT]):
    """The output of a run and where it came from."""

    output: OutputDataT
    """The output."""
    tool_name: str | None = None
    """Name of the output tool that gave it; None if it came from text, a file or deferred calls."""
    tool_call_id: str | None = None
    """Id of the call that gave it; None in the same cases."""

    @property
    def data(self) -> OutputDataT:
        """The output, by its name of earlier editions. Deprecated: use `output`."""
        warnings.warn('`FinalResult.data` is deprecated, use `output` instead', DeprecationWarning, stacklevel=2)
        return self.output

    __repr__ = no_defaults_repr
