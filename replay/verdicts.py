"""What a session can find wrong, with the texts that say so: what was expected, what came, where, and what to type."""

# ruff: noqa: N818  # named like the other errors of this package

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from .canon import Json, dumps
from .cassette import Run
from .errors import CassetteNotFound, ReplayError, Where
from .match import LIVE_TOOLS, Diverged, Divergence
from .printable import shortened
from .tape import Tape
from .unplayed import beside, in_columns

__all__ = (
    'NotRebound',
    'RecordingExpired',
    'RunLacking',
    'RunUnfinished',
    'SessionAmbiguous',
    'SessionClosed',
    'Texts',
    'Unplayed',
)


class NotRebound(Diverged):
    """A run does something else altogether than its recording, so that the recorded answers are none for it.

    Args:
        divergence: What differs, and where.
        more: As for `Diverged`.
    """

    def __init__(self, divergence: Divergence, **more: Any) -> None:
        super().__init__(divergence, **more)
        self.headline = f'{self.headline}: recorded answers cannot be bound to it'
        self.args = (self.headline,)


class RunLacking(ReplayError):
    """The cassette has no recording of a run, and nothing may be recorded."""


class Unplayed(ReplayError):
    """What was recorded was never asked for.

    Args:
        headline: As for `ReplayError`.
        run: Name of the recorded run.
        nodes: Indexes of its nodes that were never played.
        block: What was recorded and what was played, side by side.
        more: Further arguments of `ReplayError`.
    """

    def __init__(
        self, headline: str, *, run: str, nodes: Sequence[int], block: Sequence[str] = (), **more: Any
    ) -> None:
        super().__init__(headline, **more)
        self.block = tuple(block)
        self.run = run
        self.nodes = tuple(nodes)

    def rows(self) -> list[tuple[str, str]]:
        """The facts of the text: the place stands at the top."""
        return [('cassette', str(self.where)), *(row for row in super().rows() if row[0] != 'where')]


class RecordingExpired(ReplayError):
    """A recording is older than it may be.

    Args:
        headline: As for `ReplayError`.
        made: The date of the recording, as the cassette notes it.
        days: How old it is.
        more: Further arguments of `ReplayError`.
    """

    def __init__(self, headline: str, *, made: str, days: int, **more: Any) -> None:
        super().__init__(headline, **more)
        self.made = made
        self.days = days


class RunUnfinished(ReplayError):
    """A run was still going when its session ended."""


class SessionClosed(ReplayError):
    """A run belongs to a session that is closed already: it outlived its test or block."""


class SessionAmbiguous(ReplayError):
    """Several sessions are open, and nothing says to which of them a run belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Makes the errors of one session."""

    name: str
    """Name of the cassette."""
    path: Path
    """Where it is, or would be."""
    mode: str
    test: str | None
    """Id of the test that owns the cassette; then commands are those of pytest."""

    def no_cassette(
        self, agent: str, prompt: Json, *, renamed: tuple[str, str] | None = None, pending: Path | None = None
    ) -> ReplayError:
        """A run started, there is no cassette, and nothing may be recorded.

        Args:
            agent: Name of the agent.
            prompt: The user prompt as wire JSON.
            renamed: Path and test of a cassette that plays the same and that no test owns.
            pending: A recording that waits to be accepted. It is paid for: recording anew is not what helps.
        """
        if pending is not None:
            return self._only_pending(agent, prompt, pending)
        details, steps = _first(agent, prompt), (self._command('once', 'to record it'),)
        if renamed is not None and self.test is not None:
            path, test = renamed
            details += (('found', f'{path} plays the same first request and no test owns it'),)
            move, (record, _, why) = _move(test, self.test), steps[0].partition('     ')
            width = max(len(move), len(record)) + 6
            steps = (f'{move:<{width}}if the test was renamed', f'{record:<{width}}{why}')
        return CassetteNotFound(
            'no cassette',
            expected=f'{self.path.as_posix()}   (mode {self.mode}: nothing is recorded)',
            details=details,
            where=self._where(),
            next=steps,
        )

    def _only_pending(self, agent: str, prompt: Json, pending: Path) -> ReplayError:
        play = f'use_cassette({self.name!r}, play_pending=True)'
        if self.test is not None:
            play = f'pytest {quote(self.test)} --replay-pending'
        return CassetteNotFound(
            'no cassette, only a pending recording',
            expected=f'{self.path.as_posix()}   (mode {self.mode}: nothing is recorded)',
            got=f'{pending.name} beside it',
            details=_first(agent, prompt),
            where=self._where(),
            next=(f'{play}     to play it', 'replay review     to look at it, and accept it'),
        )

    def run_lacking(self, agent: str, prompt: Json, recorded: Sequence[Run]) -> ReplayError:
        """A run started that the cassette has no recording of, and nothing may be recorded."""
        have = ', '.join(run.name for run in recorded) or 'none'
        return RunLacking(
            f'a run of {agent} is not in the cassette',
            expected=f'one of its runs that was not played yet; it has {have}',
            got=f'one more run of {agent}',
            details=_first(agent, prompt),
            where=self._where(),
            next=(self._command('rewrite', 'to record all runs anew'),),
        )

    def diverged(
        self,
        divergence: Divergence,
        *,
        unexecuted: tuple[str, ...] = (),
        versions: tuple[str, str] | None = None,
    ) -> ReplayError:
        """A run did something else than its recording.

        Args:
            divergence: What differs, and where.
            unexecuted: Names of tools that the run had called before, and that were not executed.
            versions: The library version that recorded and the one that replays, if they are not the same.
        """
        steps = (self._command('rewrite', 'to ask the model again'),)
        if unexecuted:
            steps += (self._live_tools(),)
        kind = NotRebound if self.mode == 'rebind' else Diverged
        path = self.path.as_posix()
        return kind(divergence, cassette=path, next=steps, unexecuted=unexecuted, versions=versions)

    def expired(self, made: str, *, days: int, most: int) -> ReplayError:
        """The recording that was played is too old."""
        command, _, why = self._command('rewrite', 'to record anew').partition('     ')
        age = f' --replay-max-age={most}d' if self.test is not None else ''  # renews the date of what has not changed
        return RecordingExpired(
            f'the recording is older than {most} days',
            made=made,
            days=days,
            expected=f'a recording of the last {most} days',
            got=f'one of {made}, {days} days ago',
            where=self._where(),
            next=(f'{command}{age}     {why}',),
        )

    def closed(self) -> ReplayError:
        """A run outlived its session."""
        return SessionClosed(
            f'a run went on after its session was closed: cassette {self.name}',
            expected='runs that start, and end, inside the test or block that their session belongs to',
            got='a run of a task that outlived it',
            where=self._where(),
            next=('wait for the task before the test or block ends',),
        )

    def unfinished(self, tape: Tape) -> ReplayError:
        """A run was still going when the session ended."""
        return RunUnfinished(
            f'run {tape.name} was still going when its session ended',
            expected='runs that end inside the test or block that their session belongs to',
            got=f'{tape.state}, after node {tape.at}',
            where=self._where(tape.name),
            next=('wait for the run before the test or block ends',),
        )

    def unplayed_nodes(self, tape: Tape, recorded: Run) -> ReplayError:
        """A run ended before its recording did."""
        first = len(recorded.nodes) - len(tape.unplayed)
        return Unplayed(
            f'{_count(len(tape.unplayed), "recorded node")} never played',
            run=tape.name,
            nodes=range(first, len(recorded.nodes)),
            block=beside(recorded, first, raised=tape.raised),
            where=self._where(tape.name),
            next=self._fix_or_record(),
        )

    def unplayed_runs(self, runs: Sequence[Run], recorded: Sequence[Run], played: Sequence[str]) -> ReplayError:
        """Recorded runs never started."""
        return Unplayed(
            f'{_count(len(runs), "recorded run")} never played',
            run=runs[0].name,
            nodes=range(len(runs[0].nodes)),
            block=in_columns([(run.name, run.name if run.name in played else '-') for run in recorded]),
            where=self._where(runs[0].name),
            next=self._fix_or_record(),
        )

    def _fix_or_record(self) -> tuple[str, str]:
        if self.test is not None:
            anew, option = f'replay record {quote(self.test)}', '--replay-unplayed=warn lets the rest of the suite pass'
        else:
            anew, option = f"use_cassette({self.name!r}, record='rewrite')", "unplayed='warn' lets the block pass"
        return f'fix the code, or: {anew}', option

    def _where(self, run: str | None = None) -> Where:
        return Where(cassette=self.path.as_posix(), run=run)

    def _live_tools(self) -> str:
        command = (
            f'pytest {quote(self.test)} --replay-tools=live'
            if self.test
            else f"use_cassette({self.name!r}, tools='live')"
        )
        return f'{command}     {LIVE_TOOLS}'

    def _command(self, mode: str, why: str) -> str:
        if self.test is not None:
            return f'pytest {quote(self.test)} --replay-record={mode}     {why}'
        return f'use_cassette({self.name!r}, record={mode!r})     {why}'


def _move(old: str, new: str) -> str:
    """The command that lets a cassette follow its test; tests of one file need no path."""
    file, _, _ = new.partition('::')
    if old.startswith(f'{file}::'):
        old, new = old.removeprefix(f'{file}::'), new.removeprefix(f'{file}::')
    return f'replay move {quote(old)} {quote(new)}'


def _first(agent: str, prompt: Json) -> tuple[tuple[str, str], ...]:
    text = prompt if isinstance(prompt, str) else dumps(prompt).decode()
    return (('first', f'run {agent}, prompt "{shortened(text, limit=60)}"'),)


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'
