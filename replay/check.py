"""Plays a cassette through the core with a stand-in agent, and compares what comes out with what was recorded.

The core is given prompts, outcomes and verdicts, and has to come by itself to the same messages, byte for byte, and the
same nodes. A history that it would not have made is found, with the node at which the two part.
"""

from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, cast

import anyio

from .adapters import Host, Played, hosts
from .canon import Json, JsonObject, dumps, own
from .cassette import Cassette, Run
from .codec import OtherVersion, as_version
from .errors import NotSupported
from .match import ABSENT, Difference, Divergence, first_difference, locate, match_message, shown
from .playback import all_messages, new_from, node_of_message
from .script import CHANGED, is_edited
from .shapes import FULL, PYDANTIC_AI_1_38

__all__ = ('Checked', 'Verdict', 'check_cassette', 'check_run')

OTHER_ERROR = 'a run of another version that ended in an error which 1.38 does not raise in these words'
"""What cannot be played of recordings of other versions."""

_Given = TypeVar('_Given')
_Found = TypeVar('_Found')

Verdict: TypeAlias = Literal['exact', 'differs', 'refused']
"""What a check says of a run: the same bytes and nodes; something differs; it is of a kind that cannot be played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one run."""

    run: str
    verdict: Verdict
    divergence: Divergence | None = None
    """Where a run that differs does so first; `live` is what the core came to."""
    reason: str | None = None
    """Why a run was refused."""


def check_cassette(cassette: Cassette) -> list[Checked]:
    """Play every run of a cassette, in order. A running event loop stands still meanwhile.

    Runs of another library version are read as 1.38 would have written them; one that says what that cannot is refused.

    Returns:
        One result for each run.
    """
    plain = cassette.wire in {PYDANTIC_AI_1_38.name, FULL}
    runs = [run if plain else _as_played(run, cassette.wire) for run in cassette.runs]
    checked = _waited_for(_check_all, runs)
    return checked if plain else list(map(_in_other_words, checked))


def check_run(run: Run) -> Checked:
    """Play one run. A running event loop stands still meanwhile."""
    return _waited_for(_check, run)


def _waited_for(function: Callable[[_Given], Awaitable[_Found]], given: _Given) -> _Found:
    """Run on a loop of its own; in a thread of its own where this one is in a loop already."""
    try:
        anyio.get_cancelled_exc_class()
    except RuntimeError:  # no event loop here
        return anyio.run(function, given)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, function, given).result()


def _as_played(run: Run, wire: str) -> Run | Checked:
    """A run in the messages of the core."""
    try:
        return as_version(run, wire=wire, to=PYDANTIC_AI_1_38.name)
    except OtherVersion as error:
        return Checked(run=run.name, verdict='refused', reason=f'{error.headline}: {error.got}')


def _in_other_words(checked: Checked) -> Checked:
    """What a check says where the library's own errors may have other texts."""
    if checked.divergence is None or checked.divergence.cause != 'error':
        return checked
    return Checked(run=checked.run, verdict='refused', reason=f'{OTHER_ERROR}: {shown(checked.divergence.recorded)}')


async def _check_all(runs: Iterable[Run | Checked]) -> list[Checked]:
    return [run if isinstance(run, Checked) else await _check(run) for run in runs]


async def _check(run: Run) -> Checked:
    host: Host = hosts()[0]
    try:
        played = await host.play(run)
    except NotSupported as error:
        return Checked(run=run.name, verdict='refused', reason=error.headline)
    found = _first_difference(run, played)
    if found is None:
        return Checked(run=run.name, verdict='exact')
    if is_edited(run):  # more was changed than the edits tell, or they were made elsewhere
        return Checked(run=run.name, verdict='refused', reason=f'{CHANGED} cannot be played without that code')
    at, difference = found
    kind = run.nodes[at].kind if at < len(run.nodes) else played.nodes[-1]
    divergence = locate(difference, run=run.name, agent=run.agent, node=at, kind=kind)
    return Checked(run=run.name, verdict='differs', divergence=divergence)


def _first_difference(run: Run, played: Played) -> tuple[int, Difference] | None:
    """Compare messages, then nodes, then the error.

    Returns:
        Index of the node at which they differ first, and what differs.
    """
    found = [*_of_messages(run, played), *_of_nodes(run, played), *_of_error(run, played), *_of_run_ids(run)]
    return min(found, key=lambda one: one[0], default=None)


def _of_messages(run: Run, played: Played) -> Iterable[tuple[int, Difference]]:
    expected, begin = all_messages(run), new_from(run)
    if dumps(cast('Json', expected)) == played.messages and played.new_from == begin:
        return
    live = cast('list[JsonObject]', own(played.messages))
    for index, (old, new) in enumerate(zip(expected, live, strict=False)):
        difference = match_message(old, new) or _strictly(old, new)
        if difference is not None:
            yield node_of_message(run, index), difference
            return
    if len(expected) == len(live):
        yield 0, Difference(cause='history', field='new_from', recorded=begin, live=played.new_from)
    elif len(expected) > len(live):
        kinds = [message['kind'] for message in expected[len(live) :]]
        yield node_of_message(run, len(live)), _count(recorded=cast('Json', kinds), live=ABSENT)
    else:
        kinds = [message['kind'] for message in live[len(expected) :]]
        yield len(run.nodes) - 1, _count(recorded=ABSENT, live=cast('Json', kinds))


def _strictly(recorded: JsonObject, live: JsonObject) -> Difference | None:
    found = first_difference(recorded, live)
    return found and Difference(cause='history', field=found[0], recorded=found[1], live=found[2])


def _count(*, recorded: Json, live: Json) -> Difference:
    return Difference(cause='order', field='messages', recorded=recorded, live=live)


def _of_nodes(run: Run, played: Played) -> Iterable[tuple[int, Difference]]:
    recorded = tuple(node.kind for node in run.nodes)
    if recorded == played.nodes and played.missing is None:
        return
    for index in range(max(len(recorded), len(played.nodes))):
        old = recorded[index] if index < len(recorded) else ABSENT
        new = played.nodes[index] if index < len(played.nodes) else ABSENT
        if old != new:
            # A node that never came differs where the run stopped instead.
            live: Json = f'{new}, for want of {played.missing}' if played.missing else new
            yield index, Difference(cause='order', field='node', recorded=old, live=live)
            return
    yield len(recorded) - 1, Difference(cause='order', field='node', recorded=ABSENT, live=played.missing)


def _of_error(run: Run, played: Played) -> Iterable[tuple[int, Difference]]:
    raised = run.nodes[-1].raised if run.nodes else None
    old = None if raised is None else (raised.type.rpartition('.')[2], raised.message)
    if old != played.error:
        recorded: Json = ABSENT if old is None else ': '.join(old)
        live: Json = ABSENT if played.error is None else ': '.join(played.error)
        at = max(0, min(len(played.nodes), len(run.nodes)) - 1)
        yield at, Difference(cause='error', field='raised', recorded=recorded, live=live)


def _of_run_ids(run: Run) -> Iterable[tuple[int, Difference]]:
    """A run's id is its own: no message that was handed in bears it, but a request that the run sent again."""
    ids = [message['run_id'] for message in run.new_messages if message['run_id'] is not None]
    again = any(node.from_history and node.kind == 'ModelRequestNode' for node in run.nodes)
    history = run.history[:-1] if again else run.history
    for index, message in enumerate(history):
        if message['run_id'] in ids:
            field = f'messages[{index}].run_id'
            yield 0, Difference(cause='history', field=field, recorded=message['run_id'], live='the id of another run')
            return
