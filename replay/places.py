"""Which recording a run that starts is, and how it is named if it is recorded: by its place, never by a search.

A run's place is the tool call that it starts in, or the top. Among the recordings at one place that were not played yet
an equal agent with an equal first request goes first, then an equal agent, then the next one; what differs is then
reported as what it is, and not as a run that is not there.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import cast

from .adapters import Started
from .calls import parts_of
from .canon import Json, JsonObject
from .cassette import Run
from .exchange import Exchange
from .match import match_messages
from .names import run_name

__all__ = ('Places', 'begins_alike')


class Places:
    """The runs of one session, by their places.

    Args:
        recorded: Recordings to be played.
        earlier: Recordings that new ones will take the place of.
        exchange: Which live values stand for which recorded ones; made of the recordings if not given.
    """

    def __init__(
        self, recorded: Sequence[Run] = (), *, earlier: Sequence[Run] = (), exchange: Exchange | None = None
    ) -> None:
        self._exchange = Exchange.of([*recorded, *earlier]) if exchange is None else exchange
        self._unclaimed = list(recorded)
        self._earlier = tuple(earlier)
        self._kept = {run.name: run for run in (*recorded, *earlier)}
        self._taken = {run.name for run in recorded}
        self._covered: dict[str, set[int]] = {}  # places of runs that need not start, and the calls that were replayed

    def find(self, agent: str, started: Started) -> Run | None:
        """Find the recording of a run at its place: equal agent and first request, else equal agent, else the next."""
        place = _place(started.within)
        there = [run for run in self._unclaimed if run.name.rpartition('/')[0] == place]
        same = [run for run in there if run.agent == agent]
        if len(same) > 1:
            same.sort(key=self._rank(started))
        return next(iter([*same, *there]), None)

    def claim(self, recorded: Run) -> None:
        """Take a recording out of those that were not played yet."""
        self._unclaimed.remove(recorded)

    def claim_all(self, names: Iterable[str]) -> None:
        """Take recordings of these names out of those that were not played yet."""
        gone = set(names)
        self._unclaimed = [run for run in self._unclaimed if run.name not in gone]
        self._taken |= gone

    def name(self, agent: str, started: Started) -> str:
        """Name a run that is recorded; one that was recorded before keeps its name, in whatever order they start."""
        parent, tool = started.within or (None, None)
        name = self._name_again(agent, started)
        name = name or run_name(started.agent, parent=parent, tool=tool, taken=self._taken)
        self._taken.add(name)
        return name

    def cover(self, within: tuple[str, str], call: int) -> None:
        """Note that a tool call was replayed: recorded runs inside of it need not start.

        Args:
            within: Names of the run and of its tool.
            call: Number of the call among all that the run made, from 0.
        """
        self._covered.setdefault(_place(within), set()).add(call)

    def release(self, parent: str) -> None:
        """Give up the recordings inside of a run that left its own, but for those of calls that were replayed."""
        for run in [one for one in self._unclaimed if one.name.startswith(f'{parent}/')]:
            if not self._is_covered(run):
                self._unclaimed.remove(run)
                self._taken.discard(run.name)
                del self._kept[run.name]

    def never_played(self) -> list[Run]:
        """Recordings that were not played and were not to be left out."""
        return [run for run in self._unclaimed if not any(run.name.startswith(f'{place}/') for place in self._covered)]

    def in_order(self, fresh: Sequence[Run], *, keep: bool) -> list[Run]:
        """Put new recordings in the place of earlier ones; those that are new come last, as they started.

        Args:
            fresh: The new recordings.
            keep: Whether runs that were not reached are kept. Runs inside of a run that was recorded anew are not.
        """
        anew = {run.name: run for run in fresh}
        gone = {run.name for run in self._earlier if any(run.name.startswith(f'{name}/') for name in anew)}
        kept = {name: run for name, run in self._kept.items() if name in anew or (keep and name not in gone)}
        return list({**kept, **anew}.values())

    def _is_covered(self, run: Run) -> bool:
        """Whether the call that a recording stands in was replayed; where the call is not known, any of its tool."""
        place = next((place for place in self._covered if run.name.startswith(f'{place}/')), None)
        if place is None:
            return False
        fact = cast('JsonObject', run.facts.get('counted_in', {}))
        return not fact or run.name.rpartition('/')[0] != place or fact['call'] in self._covered[place]

    def _name_again(self, agent: str, started: Started) -> str | None:
        """The name that a run had when it was recorded before, among several that start in any order."""
        place = _place(started.within)
        there = [run for run in self._earlier if run.agent == agent and run.name.rpartition('/')[0] == place]
        rank = self._rank(started)
        free = [(rank(run), run.name) for run in there if run.name not in self._taken] if len(there) > 1 else []
        best, name = min(free, key=itemgetter(0), default=((_OTHER, False), ''))
        return name if best[0] < _OTHER else None

    def _rank(self, started: Started) -> Callable[[Run], tuple[int, bool]]:
        """How well recordings go with a run that starts: equal ones first, then those that are up to minted values.

        Of those that go equally well, the first are those that were instructed by the same texts.
        """

        def rank(run: Run) -> tuple[int, bool]:
            found = begins(run)
            return found, found < _OTHER and not _is_instructed_by(run, started.instructions)

        def begins(run: Run) -> int:
            if begins_alike(run, started):
                return 0
            if begins_alike(run, started, self._exchange):
                return 1
            return 2 if _asked_alike(run, started, None) else _OTHER  # a history may hold what is made anew

        return rank


_OTHER = 3
"""How well a recording goes with a run that asks something else."""


@lru_cache(maxsize=256)
def _place(within: tuple[str, str] | None) -> str:
    """Where runs of a tool call have their names: those of the call's nested runs begin with it."""
    return '' if within is None else run_name('x', parent=within[0], tool=within[1]).rpartition('/')[0]


def begins_alike(run: Run, started: Started, exchange: Exchange | None = None) -> bool:
    """Whether prompt and history of a recording are those of a run that starts.

    Args:
        run: The recording.
        started: What is known of the run.
        exchange: What values may stand for others; None: none may.
    """
    if not _asked_alike(run, started, exchange):
        return False
    if 'messages' in run.facts:  # the user's code changed them, so the history is not the one that was handed in
        return True
    recorded, live = list(run.history), started.history()
    tried = cast('list[JsonObject]', _tried(exchange, cast('Json', recorded), cast('Json', live)))
    return match_messages(recorded, tried) is None


def _asked_alike(run: Run, started: Started, exchange: Exchange | None) -> bool:
    """Whether the prompt of a recording is that of a run that starts."""
    asked = next((node.message for node in run.nodes if node.kind == 'ModelRequestNode'), None)
    prompts = [part['content'] for part in parts_of(asked) if part['part_kind'] == 'user-prompt']
    if asked is None and 'prompt' in run.facts:
        prompts = [run.facts['prompt']]
    return started.prompt is None or any(_tried(exchange, one, started.prompt) == one for one in prompts)


def _is_instructed_by(run: Run, instructions: str | None) -> bool:
    """Whether the first request of a recording has these instructions; what functions made may follow."""
    definition = next((node.definition for node in run.nodes if node.definition is not None), None)
    told = (definition and definition.instructions) or ''
    return not instructions or told == instructions or told.startswith(f'{instructions}\n\n')


def _tried(exchange: Exchange | None, recorded: Json, live: Json) -> Json:
    return live if exchange is None else exchange.tried(recorded, live)
