"""The shape of a run: nodes that run one after the other, and the `End` they come to.

Only what a run of an agent needs of a graph; this is no library for graphs in general.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic

from typing_extensions import TypeVar

from agentrun._records import full_repr, lean_dataclass

__all__ = ('BaseNode', 'DepsT', 'End', 'GraphRunContext', 'NodeRunEndT', 'RunEndT', 'StateT')

StateT = TypeVar('StateT', default=None)
"""Type of the state that the nodes of a run share and change."""
DepsT = TypeVar('DepsT', default=None)
"""Type of what the nodes of a run share and leave alone."""
NodeRunEndT = TypeVar('NodeRunEndT', covariant=True, default=Any)  # noqa: PLC0105, the followed name
"""Type of the data that a node's run ends with."""
RunEndT = TypeVar('RunEndT', covariant=True, default=None)  # noqa: PLC0105, the followed name
"""Type of the data of an `End`."""


@lean_dataclass(kw_only=True, show=full_repr)
class GraphRunContext(Generic[StateT, DepsT]):
    """What a node is given to run with."""

    state: StateT
    """What changes while the run goes on."""
    deps: DepsT
    """What the run was set up with."""


class BaseNode(ABC, Generic[StateT, DepsT, NodeRunEndT]):
    """One step of a run."""

    @abstractmethod
    async def run(self, ctx: GraphRunContext[StateT, DepsT]) -> BaseNode[StateT, DepsT, NodeRunEndT] | End[NodeRunEndT]:
        """Carry out the step.

        Args:
            ctx: State and setup of the run.

        Returns:
            The node that comes next, or the end of the run.
        """


@lean_dataclass(show=full_repr)
class End(Generic[RunEndT]):
    """The end of a run."""

    data: RunEndT
    """What the run came to: of an agent's run, its `FinalResult`."""
