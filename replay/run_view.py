"""A run as a session shows it to a test: its nodes, messages and usage, with stand-ins where there were secrets."""

from dataclasses import dataclass
from typing import cast

from .canon import JsonObject, own
from .cassette import Node, Run
from .outline import Item, outline_of

__all__ = ('RunView',)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as it went in this session."""

    name: str
    agent: str
    node_kinds: tuple[str, ...]
    """Kinds of the nodes that ran, `End` included, in order."""
    nodes: tuple[Node, ...]
    """The recorded nodes with their messages and results."""
    all_json: bytes
    """What `all_messages_json()` gives."""
    new_json: bytes
    """What `new_messages_json()` gives."""

    @property
    def messages(self) -> list[JsonObject]:
        """All messages as wire JSON, oldest first."""
        return cast('list[JsonObject]', own(self.all_json))

    @property
    def outline(self) -> list[str]:
        """One line for each node that says what it did, as `replay show` has them."""
        return [item.line for item in self._items()]

    @property
    def steps(self) -> list[JsonObject]:
        """What each node added, without what a provider or a clock churns: times, ids, usage, signatures."""
        return [{'node': item.kind, **item.content} for item in self._items()]

    def _items(self) -> list[Item]:
        return outline_of(Run(name=self.name, agent=self.agent, nodes=self.nodes))

    @property
    def usage(self) -> dict[str, int]:
        """Requests and tokens of the run's own responses, summed up; counts that are zero are left out."""
        total: dict[str, int] = {}
        for message in cast('list[JsonObject]', own(self.new_json)):
            if message['kind'] == 'response':
                total['requests'] = total.get('requests', 0) + 1
                for name, count in cast('JsonObject', message['usage']).items():
                    if isinstance(count, int) and count:
                        total[name] = total.get(name, 0) + count
        return total
