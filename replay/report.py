"""What a test session has to say about its cassettes: one report per cause, one line in all.

Pure: facts in, lines out. The facts are plain enough to travel from a worker process to the one that prints.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from shlex import quote
from typing import Any, Literal, TypeAlias

from .cassette import Node
from .errors import CassetteDamaged, CassetteInconsistent, CassetteTooNew, ReplayError
from .match import LIVE_TOOLS, NO_ANSWER, Diverged
from .printable import printable, printable_lines, shortened

State: TypeAlias = Literal['differ', 'unplayed', 'expired', 'missing', 'damaged', 'recorded', 'played', 'failed']
"""What became of a cassette in one test. `failed`: the test failed by itself, so nothing was judged or kept."""

_RANK: Sequence[State] = ('differ', 'damaged', 'unplayed', 'expired', 'missing', 'recorded', 'played', 'failed')
"""What counts for a cassette that several tests share (the back ends of one test): the first of these."""

_ALWAYS: Sequence[State] = ('played', 'differ', 'unplayed', 'recorded')
"""States that the summary names even when it has none of them; the others only when there are some."""

_UNREADABLE = (CassetteDamaged, CassetteInconsistent, CassetteTooNew)
"""Errors about a file, whose fields are no readings of a run: asking the model again is not what they need."""

_WIDTH = 100
"""Longest value, in characters, that is shown whole."""

_NAMED = 6
"""How many tests a command line names, if it can say them otherwise."""

_COUNTS_AT = 58
"""Column at which a cause says how many tests it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a test failed, as text that is ready to show.

    Attributes:
        headline: One line that says what is wrong.
        readings: What was recorded and what came, if the error is about one value that differs.
        facts: Further label and value pairs, in the order in which they are shown.
        where: Run, node and field as far as they are known, joined for reading.
        next: Commands or steps that help, in order of likelihood.
        cause: What two problems have in common if one change explains both.
        rebinds: Whether the recorded answers can be kept for what is asked now.
        live_tools: Whether tools that were not executed came before, so that executing them may help.
    """

    headline: str
    readings: tuple[str, str] | None = None
    facts: tuple[tuple[str, str], ...] = ()
    where: str = ''
    next: tuple[str, ...] = ()
    cause: str = ''
    block: tuple[str, ...] = ()
    """Lines that stand as they are."""
    rebinds: bool = False
    live_tools: bool = False
    """Whether executing tools may help."""

    @classmethod
    def of(cls, error: ReplayError) -> 'Problem':
        """Take the facts from an error.

        Errors that name a field of a run are one cause only if both values are equal too; others are one cause if their
        headline is the same.
        """
        readings = None
        about_a_run = error.where.field is not None and not isinstance(error, _UNREADABLE)
        if about_a_run and error.expected is not None and error.got is not None:
            readings = (error.expected, error.got)
        apart = ('where', 'next', 'expected', 'got') if readings else ('where', 'next')
        cassette = error.where.cassette
        rows = error.rows()
        shown = readings is not None or 'cassette' in dict(rows)
        told = shown or cassette is None or cassette in (error.expected or '')
        return cls(
            headline=error.headline,
            readings=readings,
            facts=(
                *(() if told else (('cassette', str(cassette)),)),
                *((label, value) for label, value in rows if label not in apart),
            ),
            where=str(replace(error.where, cassette=None)),
            next=error.next,
            # What was found for one test helps no other.
            cause='\n'.join(
                [error.headline, *(readings or ()), *(text for label, text in error.details if label == 'found')]
            ),
            block=error.block,
            rebinds=isinstance(error, Diverged) and error.divergence.cause not in NO_ANSWER,
            live_tools=isinstance(error, Diverged) and bool(error.unexecuted),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What one test has to say about its cassette."""

    test: str
    """Id of the test."""
    cassette: str
    """Path of the cassette as it is shown, relative to the root of the tests."""
    mode: str
    state: State
    live_requests: int = 0
    """How many requests reached a real model."""
    tokens: int = 0
    """How many tokens its recording took, as recorded."""
    runs: int = 0
    """How many runs its recording has."""
    resumed: int = 0
    """How many requests an interrupted recording had answered already."""
    rebound: int = 0
    """How many runs had answers that were recorded for other requests."""
    left_out: tuple[str, ...] = ()
    """Fields that are not compared and in which its runs differ from their recordings."""
    exchanged: int = 0
    """How many minted ids, tokens, numbers and epochs were others than the recorded ones."""
    constants: tuple[tuple[str, str], ...] = ()
    """Run and name of what was noted as minted and came as recorded."""
    errors: tuple[str, ...] = ()
    """Names of the recorded errors, each as often as its runs ended in it: status of a response, else class."""
    problem: Problem | None = None

    def to_data(self) -> dict[str, Any]:
        """Give the note as plain data, tuples included, that travels between processes."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> 'Note':
        """Take a note back from `to_data`."""
        facts = dict(data)
        problem = facts.pop('problem')
        return cls(**facts, problem=None if problem is None else Problem(**problem))


def error_names(nodes: Iterable[Node]) -> list[str]:
    """Name the errors that recorded nodes and their tools ended in, in order: `429`, else the class."""
    raised = [
        error
        for node in nodes
        for error in (node.raised, *(result.raised for result in node.results.values()))
        if error is not None
    ]
    return [str(error.args.get('status_code') or error.type.rpartition('.')[2]) for error in raised]


def causes(notes: Iterable[Note]) -> list[list[Note]]:
    """Group the notes that have a problem by cause: the cause of most tests first, equals in order of appearance."""
    groups: dict[str, list[Note]] = {}
    for note in notes:
        if note.problem is not None:
            groups.setdefault(note.problem.cause, []).append(note)
    return sorted(groups.values(), key=len, reverse=True)


def short_line(problem: Problem, *, others: int = 0) -> str:
    """Say a problem in the one line that pytest gives to a failed test; `others` share its cause."""
    more = f' (+{_count(others, "test")})' if others else ''
    return f'replay: {printable(problem.headline)}{more}'


def section_title(groups: Sequence[Sequence[Note]]) -> str:
    """Name the section that `cause_lines` fills: `replay: 1 cause, 7 tests`."""
    return f'replay: {_count(len(groups), "cause")}, {_count(sum(map(len, groups)), "test")}'


def cause_lines(
    number: int, notes: Sequence[Note], *, sole: bool = True, verbose: bool = False, kept: bool = False
) -> list[str]:
    """Report one cause with its values, the first test that it hit, the others by name, and what to type next.

    Args:
        number: Number of the cause, from 1.
        notes: The notes of the cause, at least one; all have a problem.
        sole: Whether there is no other cause.
        verbose: Whether every other test is named instead of the first few.
        kept: Whether commands find the tests of a cause by its number.

    Returns:
        The lines from top to bottom, without line ends.
    """
    first = notes[0]
    problem = first.problem or Problem(headline='')
    cassettes = len({note.cassette for note in notes})
    title = f'{number}. {printable(problem.headline)}'.ljust(_COUNTS_AT - 1)
    places = [printable(first.test)] + ([printable(problem.where)] if problem.where else [])
    return [
        f'{title} {_count(len(notes), "test")}, {_count(cassettes, "cassette")}',
        *(f'     {line}' for line in _facts(problem)),
        *(f'   {printable(line)}' for line in problem.block),
        f'   where  {"  ".join(places)}',
        *_labelled('also', _others(notes, verbose=verbose)),
        *_labelled(
            'next', [printable(step) for step in _steps(problem, notes, sole=sole, number=number if kept else None)]
        ),
    ]


def summary_line(notes: Sequence[Note], *, mode: str) -> str:
    """Count cassettes by what became of them: `replay: none mode, 41 cassettes: 34 played, 7 differ, ...`.

    A cassette that several tests share counts once, for the worst that happened to it.
    """
    states: dict[str, State] = {}
    for note in sorted(notes, key=lambda note: _RANK.index(note.state)):
        states.setdefault(note.cassette, note.state)
    counts = Counter(states.values())
    named: list[State] = [*_ALWAYS, *(state for state in _RANK if state not in _ALWAYS and counts[state])]
    live = sum(note.live_requests for note in notes)
    parts = [*(f'{counts[state]} {state}' for state in named), _count(live, 'live request')]
    parts += _also(notes)
    return f'replay: {mode} mode, {_count(len(states), "cassette")}: {", ".join(parts)}'


def _also(notes: Sequence[Note]) -> list[str]:
    """What a summary says only if there is any of it."""
    rebound = sum({note.cassette: note.rebound for note in notes}.values())
    apart = Counter(field for field, _ in {(field, note.cassette) for note in notes for field in note.left_out})
    differ = [f'{count} with other {field} (not compared)' for field, count in sorted(apart.items())]
    errors = Counter(name for names in {note.cassette: note.errors for note in notes}.values() for name in names)
    raised = [f'{count} recorded {printable(name)}' for name, count in sorted(errors.items())]
    resumed = sum(note.resumed for note in notes)
    again = [f'resumed: {_count(resumed, "request")}'] if resumed else []
    exchanged = sum(note.exchanged for note in notes)
    minted = [f'{_count(exchanged, "minted value")} exchanged'] if exchanged else []
    return [*again, *([_count(rebound, 'rebound run')] if rebound else []), *minted, *raised, *differ]


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f'   {label if index == 0 else "":<5}  {line}' for index, line in enumerate(lines)]


def _facts(problem: Problem) -> list[str]:
    """The two readings of a value and all further facts, one line each, labels aligned."""
    rows = [] if problem.readings is None else _readings(*map(printable, problem.readings))
    for label, value in problem.facts:
        rows += [(label if index == 0 else '', line) for index, line in enumerate(printable_lines(value))]
    width = max((len(label) for label, _ in rows), default=0) + 2
    return [f'{label:<{width}}{line}' for label, line in rows]


def _readings(recorded: str, now: str) -> list[tuple[str, str]]:
    """Two readings of one value, cut alike around their first difference, which is underlined."""
    start = _common(recorded, now)
    tail = _common(recorded[start:][::-1], now[start:][::-1])
    in_now = len(now) - tail > start
    length = len(now if in_now else recorded) - tail - start
    skip = max(0, start - _WIDTH // 3) if max(len(recorded), len(now)) > _WIDTH else 0
    lead = '... ' if skip else ''
    rows = [
        (label, lead + shortened(value[skip:], limit=_WIDTH - len(lead)))
        for label, value in (('recorded', recorded), ('now', now))
    ]
    if length:
        column = len(lead) + start - skip
        rows.insert(2 if in_now else 1, ('', ' ' * column + '^' * min(length, _WIDTH - column)))
    return rows


def _common(one: str, other: str) -> int:
    """Length of the beginning that two texts share."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def _others(notes: Sequence[Note], *, verbose: bool) -> list[str]:
    """Names of all but the first test: short ones in the first one's file, whole ids elsewhere."""
    file = notes[0].test.partition('::')[0]
    names = [printable(note.test.removeprefix(f'{file}::')) for note in notes[1:]]
    if verbose or len(names) <= 3:
        return names if verbose else [', '.join(names)] if names else []
    return [f'{", ".join(names[:2])}, {len(names) - 2} more (-v lists them)']


def _steps(problem: Problem, notes: Sequence[Note], *, sole: bool, number: int | None) -> Sequence[str]:
    """What to type next: the first problem's own advice, for all tests of the cause.

    Args:
        problem: The problem of the first note.
        notes: The notes of the cause.
        sole: Whether there is no other cause, so that these are all tests that failed.
        number: Number of the cause, if commands know it.
    """
    once = list({note.cassette: note for note in reversed(notes)}.values())[::-1]
    tests = '--last-failed' if sole and len(once) > _NAMED else ' '.join(quote(note.test) for note in once)
    if problem.readings is None:
        return [step.replace(quote(notes[0].test), tests) for step in problem.next]
    runs, tokens = sum(note.runs for note in once), sum(note.tokens for note in once)
    cost = f'ask the model again ({_count(runs, "run")}, about {_thousands(tokens)} tokens as recorded)'
    chosen = tests if number is None else f'--cause {number}'
    live = [f'pytest {tests} --replay-tools=live     {LIVE_TOOLS}'] if problem.live_tools else []
    if chosen.startswith('--last'):
        return [f'pytest {chosen} --replay-record=rewrite     {cost}', *live]
    steps = [f'replay record {chosen}     {cost}, then replay review']
    if problem.rebinds:
        steps.append(f'replay rebind {chosen}     keep the recorded answers, marked "rebound" until the next recording')
    return [*steps, *live]


def _thousands(tokens: int) -> str:
    return str(tokens) if tokens < 1000 else f'{round(tokens / 1000)} k'
