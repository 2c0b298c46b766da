"""What tools count into the usage of a run themselves (`ctx.usage.incr`), so that a replay counts the same.

Runs inside of a tool tell what they used in their own recordings. All else by which the usage has changed when a call
ends is noted at that call. It is found by subtraction, as tools may change each counter as they like.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias, cast
from weakref import WeakValueDictionary

from agentrun.messages import ModelResponse
from agentrun.usage import RunUsage
from replay.adapters.agentrun._wire import restored_messages
from replay.canon import JsonObject
from replay.cassette import Run

__all__ = ('Account', 'Spent', 'account_of', 'count_in', 'joined', 'lacking', 'spend')


class Account:
    """What is known of one usage while runs count into it.

    Args:
        usage: What they count into; kept, so that its identity stays its own.
        count: Counts what a recorded run counted, as `count_in` does.
    """

    def __init__(self, usage: RunUsage, count: 'Counting') -> None:
        self.usage = usage
        self.open = 0
        """How many runs count into it now."""
        self.calls = 0
        """How many tools have returned, in whichever of these runs: they are counted at once."""
        self._told = type(usage)()
        self._count_in = count
        self._untold: list[tuple[Run, int]] = []  # left, and not yet counted: nobody asks after the outermost run

    @property
    def told(self) -> RunUsage:
        """What runs that are over have counted into it."""
        left, self._untold = self._untold, []
        for run, tool_calls in left:
            self._count_in(self._told, run, tool_calls)
        return self._told

    def left(self, run: Run | None, tool_calls: int) -> None:
        """A run is over.

        Args:
            run: The run as it was written; None if it was not.
            tool_calls: How many tools of its own it counted.
        """
        self.open -= 1
        if run is not None:
            self._untold.append((run, tool_calls))

    def skip(self, run: Run) -> None:
        """Count a recorded run that will not start, for its tool is not executed."""
        before = self.usage.tool_calls
        self._count_in(self.usage, run, 0)
        self._count_in(self.told, run, 0)
        self.calls += self.usage.tool_calls - before


_accounts: WeakValueDictionary[int, Account] = WeakValueDictionary()


Counting: TypeAlias = Callable[[RunUsage, Run, int], None]


def account_of(usage: RunUsage, count: Counting | None = None) -> Account:
    """The account of a usage: the same one for all runs that count into it at a time.

    Args:
        usage: What they count into.
        count: Counts what a recorded run counted; `count_in` for those of agentrun.
    """
    found = _accounts.get(id(usage))
    if found is None:
        found = _accounts[id(usage)] = Account(usage, count or count_in)
    return found


class Spent:
    """Tells what the calls of one batch have counted themselves.

    Where runs that are none of the batch count into the same usage meanwhile, nobody can tell; then nothing is noted.

    Args:
        account: Of the usage of the run.
        depth: How many runs count into it by running around the batch: its own run and those that called it.
    """

    def __init__(self, account: Account, depth: int) -> None:
        self._account = account
        self._depth = depth
        self._alone = account.open == depth
        self._noted = _own(account.usage)  # what is accounted for
        self._told = _own(account.told)
        self._calls = account.calls

    def since(self) -> JsonObject:
        """What was counted since the last time, nested runs and returns of tools apart.

        Returns:
            Counters that have changed, and by how much. Empty while a run inside the batch is still going.
        """
        account = self._account
        if not self._alone or account.open != self._depth:
            return {}
        told = _difference(account.told, self._told)
        spend(self._noted, {**told, 'tool_calls': account.calls - self._calls})
        found = _difference(account.usage, self._noted)
        self._noted, self._told, self._calls = _own(account.usage), _own(account.told), account.calls
        return found


def count_in(usage: RunUsage, run: Run, tool_calls: int = 0) -> None:
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
    for node in run.nodes:
        for result in node.results.values():
            spend(usage, result.usage)


def spend(usage: RunUsage, spent: JsonObject) -> None:
    """Count what a call counted, those counters included that `RunUsage.incr` leaves out, as in pydantic-ai 1.38."""
    for name, count in spent.items():
        if name == 'details':
            for key, number in cast('dict[str, int]', count).items():
                usage.details[key] = usage.details.get(key, 0) + number
        elif isinstance(getattr(usage, name, None), int):
            setattr(usage, name, getattr(usage, name) + cast('int', count))


def joined(spent: Iterable[JsonObject], *, kind: type[RunUsage] = RunUsage) -> JsonObject:
    """Add up what was counted in several steps, in the counters that a kind of usage has."""
    total = kind()
    for one in spent:
        spend(total, one)
    return _difference(total, kind())


def lacking(due: Iterable[JsonObject], spent: JsonObject, *, kind: type[RunUsage] = RunUsage) -> JsonObject:
    """What is left of all that is due when some of it was counted, in the counters that a kind of usage has."""
    was, total = kind(), kind()
    spend(was, spent)
    spend(total, joined(due, kind=kind))
    return _difference(total, was)


def _own(usage: RunUsage) -> RunUsage:
    found = object.__new__(type(usage))  # `copy` takes ten times as long, and this is done for each batch
    vars(found).update(vars(usage), details=dict(usage.details))
    return found


def _difference(now: RunUsage, before: RunUsage) -> JsonObject:
    """By how much each counter has changed, those that have not apart."""
    counts, counted = vars(now), vars(before)
    if counts == counted:
        return {}
    found: dict[str, int] = {}
    for name in counts if counts.keys() == counted.keys() else dict.fromkeys([*counts, *counted]):
        count, was = counts.get(name, 0), counted.get(name, 0)
        if count != was and isinstance(count, int):  # a cost, where a library tells one, is no counter
            found[name] = count - was
    details = {
        name: now.details.get(name, 0) - before.details.get(name, 0)
        for name in dict.fromkeys([*now.details, *before.details])
        if now.details.get(name, 0) != before.details.get(name, 0)
    }
    return cast('JsonObject', {**found, 'details': details} if details else found)
