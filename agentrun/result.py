"""What a run comes to."""

from __future__ import annotations

import warnings
from typing import Generic

from agentrun._agent_stream import AgentStream
from agentrun._records import lean_dataclass
from agentrun._streamed_result import StreamedRunResult, StreamedRunResultSync
from agentrun.output import OutputDataT
from agentrun.usage import RunUsage

__all__ = ('AgentStream', 'FinalResult', 'RunUsage', 'StreamedRunResult', 'StreamedRunResultSync')


@lean_dataclass()
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
