"""What tools count into the usage of a run themselves, and what nested runs do: noted, and counted again in a replay.

The arithmetic is that of agentrun's adapter; usages of both libraries have the same counters, or more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RunUsage

from replay.adapters.agentrun._spending import Account, Spent, account_of, joined, lacking, spend
from replay.adapters.pydantic_ai._wire import restored_messages
from replay.canon import JsonObject
from replay.cassette import Run, ToolResult

__all__ = ('BatchSpending', 'Spending', 'count_in')


class Spending:
    """What counts into the usage of one run."""

    def __init__(self) -> None:
        self.depth = 1
        """How many runs around its calls count into the same usage, the run included."""
        self._account: Account | None = None

    def begun(self, usage: RunUsage, *, around: int) -> None:
        """The run has begun.

        Args:
            usage: What it counts into.
            around: How many runs around this one count into that, too.
        """
        self.depth = around + 1
        self._account = account_of(cast('Any', usage), count_in)
        self._account.open += 1

    def ended(self, run: Run | None, tool_calls: int) -> None:
        """The run is over.

        Args:
            run: The run as it was written; None if it was not.
            tool_calls: How many of its tools returned.
        """
        account, self._account = self._account, None
        if account is not None:
            account.left(run, tool_calls)

    @property
    def usage(self) -> Any:
        """What the run counts into."""
        return cast('Account', self._account).usage

    def batch(self) -> 'BatchSpending':
        """What the calls of a response count, from now on."""
        return BatchSpending(cast('Account', self._account), self.depth)


@dataclass(slots=True)
class BatchSpending:
    """What the calls of one response count."""

    account: Account
    depth: int
    _spent: Spent = field(init=False)

    def __post_init__(self) -> None:
        self._spent = Spent(self.account, self.depth)

    def since(self) -> JsonObject:
        """What was counted since the last time, but for nested runs and for calls, which the library counts."""
        found = self._spent.since()
        return {name: count for name, count in found.items() if name != 'tool_calls'}

    def skip(self, runs: Iterable[Run]) -> None:
        """Count nested runs that will not start, for their tool is not executed."""
        for run in runs:
            self.account.skip(run)

    def count(self, results: Iterable[ToolResult]) -> None:
        """Count what calls counted when they were recorded, but for what has been counted now."""
        usage = self.account.usage
        spend(usage, lacking([result.usage for result in results], self.since(), kind=type(usage)))

    def joined(self, *spent: JsonObject) -> JsonObject:
        """Add up what was counted in several steps."""
        return joined(spent, kind=type(self.account.usage))


def count_in(usage: Any, run: Run, tool_calls: int = 0) -> None:
    """Count what a recorded run counted.

    Args:
        usage: What to count it into.
        run: The run.
        tool_calls: How many of its tools returned; one that counted into another run's usage tells it itself.
    """
    unheard = [cast('JsonObject', node.facts['response']) for node in run.nodes if 'response' in node.facts]
    responses = [message for message in (*run.new_messages, *unheard) if message['kind'] == 'response']
    counted = cast('dict[str, int]', run.facts.get('counted_in', {}))
    usage.incr(RunUsage(requests=len(responses), tool_calls=counted.get('tool_calls', tool_calls)))
    for response in restored_messages(responses):
        usage.incr(cast('ModelResponse', response).usage)
    for result in (result for node in run.nodes for result in node.results.values()):
        spend(usage, result.usage)
