"""Two recordings compared as node sequences.

Runs are paired by name, then by agent. The node sequences of a pair are aligned in passes: nodes that say the same,
then, in the gaps between them, nodes that do the same (same parts, same tools) with other texts, then nodes of the same
kind. What remains was added or removed. A paired node lists the fields that changed with both values. Churn is left
out (see `outline`), and what holds until it changes, such as instructions, is reported where it changes and not again
at every request.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import Enum
from typing import Final, Literal, TypeAlias, cast

from .canon import Json, JsonObject, dumps
from .cassette import Cassette, Run
from .outline import Item, outline_of

__all__ = ('ABSENT', 'Absent', 'CassetteDiff', 'Change', 'NodeDiff', 'RunDiff', 'Status', 'diff_cassettes', 'diff_runs')

MOST_CELLS = 4_000_000
"""Longest alignment that is searched (old times new); beyond it, what stands at the same place is paired."""


class Absent(Enum):
    """The value of a field that is not there."""

    ABSENT = 'absent'


ABSENT: Final = Absent.ABSENT

Status: TypeAlias = Literal['same', 'changed', 'added', 'removed']
"""What became of a run or a node from the old recording to the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field with both values."""

    path: str
    """Dots for names, brackets for places in the new list (in the old one if removed): `parts[0].args.city`."""
    old: 'Json | Absent'
    new: 'Json | Absent'


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDiff:
    """One place of the aligned sequences. At least one side is there."""

    old: Item | None
    new: Item | None
    changes: tuple[Change, ...] = ()
    """Changed fields, if both sides are there."""

    @property
    def item(self) -> Item:
        """The node as it is now, or as it was if it is gone."""
        return cast('Item', self.new or self.old)

    @property
    def status(self) -> Status:
        """`added` and `removed` speak of the new recording."""
        if self.old is None:
            return 'added'
        if self.new is None:
            return 'removed'
        return 'changed' if self.changes else 'same'


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """One run of either recording, or a pair of them. At least one name is there."""

    old: str | None
    """Name of the run in the old recording."""
    new: str | None
    nodes: tuple[NodeDiff, ...] = ()
    """Node by node; of a run that was added or removed, all its nodes."""
    changes: tuple[Change, ...] = ()
    """Facts of the run as a whole: its name, `entry`, `end_strategy`, marks."""

    @property
    def name(self) -> str:
        """The run's name, the new one if it has both."""
        return self.new or self.old or ''

    @property
    def status(self) -> Status:
        """`added` and `removed` speak of the new recording."""
        if self.old is None:
            return 'added'
        if self.new is None:
            return 'removed'
        return 'changed' if self.changes or any(node.status != 'same' for node in self.nodes) else 'same'

    def count(self, status: Status) -> int:
        """How many of its nodes have this status."""
        return sum(node.status == status for node in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteDiff:
    """Two recordings of one test. A side is None where there is no such file."""

    old: str | None
    """Where the old recording came from, for people."""
    new: str | None
    runs: tuple[RunDiff, ...] = field(default=())

    @property
    def differs(self) -> bool:
        """Whether anything that a person decides about is different."""
        return self.old is None or self.new is None or any(run.status != 'same' for run in self.runs)


def diff_cassettes(
    old: Cassette | None, new: Cassette | None, *, old_label: str | None, new_label: str | None
) -> CassetteDiff:
    """Compare two recordings.

    Args:
        old: The recording as it was; None if there was none.
        new: The recording as it is; None if there is none.
        old_label: Where `old` came from, for people; None if there was none.
        new_label: The same for `new`.

    Returns:
        All runs, the new recording's in its order, then those that it lacks.
    """
    pairs = _paired_runs(old.runs if old else (), new.runs if new else ())
    return CassetteDiff(old=old_label, new=new_label, runs=tuple(diff_runs(*pair) for pair in pairs))


def diff_runs(old: Run | None, new: Run | None) -> RunDiff:
    """Compare two runs, at least one of which is there.

    Args:
        old: The run as it was recorded.
        new: The run as it is recorded now.

    Returns:
        The aligned nodes and what else changed.
    """
    old_items = outline_of(old) if old else []
    new_items = outline_of(new) if new else []
    changes = tuple(_changes('', _run_facts(old), _run_facts(new))) if old and new else ()
    return RunDiff(
        old=old.name if old else None,
        new=new.name if new else None,
        nodes=tuple(_node_diffs(old_items, new_items)),
        changes=changes,
    )


# --- runs ---


def _paired_runs(old: Sequence[Run], new: Sequence[Run]) -> Iterator[tuple[Run | None, Run | None]]:
    """Pair by name first; of what is left, runs of one agent in order."""
    by_name = {run.name: run for run in old}
    pairs = {run.name: by_name.pop(run.name, None) for run in new}
    left = list(by_name.values())
    for run in new:
        partner = pairs[run.name]
        if partner is None and (same := next((other for other in left if other.agent == run.agent), None)):
            left.remove(same)
            partner = same
        yield partner, run
    yield from ((run, None) for run in left)


def _run_facts(run: Run) -> JsonObject:
    facts: JsonObject = {key: value for key, value in run.facts.items() if key != 'imported'}
    return {'name': run.name, **facts, **({'marks': list(run.marks)} if run.marks else {})}


# --- nodes ---


def _node_diffs(old: Sequence[Item], new: Sequence[Item]) -> Iterator[NodeDiff]:
    old_holds, new_holds = _effective(old), _effective(new)
    for left, right in _aligned(_keys(old), _keys(new)):
        if left is None or right is None:
            yield NodeDiff(
                old=None if left is None else old[left],
                new=None if right is None else new[right],
            )
            continue
        changes = [
            *_turns(old_holds[left], new_holds[right]),
            *_changes('', old[left].content, new[right].content),
        ]
        yield NodeDiff(old=old[left], new=new[right], changes=tuple(changes))


@dataclass(frozen=True, slots=True)
class _Held:
    """What is in force at an item, and which of it is new there."""

    values: JsonObject
    turned: frozenset[str]


def _effective(items: Sequence[Item]) -> list[_Held]:
    held: JsonObject = {}
    found: list[_Held] = []
    for item in items:
        turned = frozenset(key for key, value in item.holds.items() if key not in held or held[key] != value)
        held = {**held, **item.holds}
        found.append(_Held(item.holds, turned))
    return found


def _turns(old: _Held, new: _Held) -> Iterator[Change]:
    """Changes of what is in force, where it turned on either side, as far as both sides know it."""
    for key, value in new.values.items():
        if key in old.values and key in old.turned | new.turned:
            yield from _changes(key, old.values[key], value)


# --- alignment ---

_Keys: TypeAlias = list[tuple[Hashable, ...]]
"""For each item its keys, one for each pass, from narrow to wide."""


def _keys(items: Sequence[Item]) -> _Keys:
    return [((item.kind, dumps(item.content)), (item.kind, item.shape), item.kind) for item in items]


def _aligned(old: _Keys, new: _Keys) -> Iterator[tuple[int | None, int | None]]:
    """Align two sequences by keys from narrow to wide; pairs of places, None for a side that is not there."""
    width = len(old[0]) if old else len(new[0]) if new else 0
    return _pass(old, new, (0, len(old)), (0, len(new)), level=0, width=width)


def _pass(
    old: _Keys, new: _Keys, left: tuple[int, int], right: tuple[int, int], *, level: int, width: int
) -> Iterator[tuple[int | None, int | None]]:
    """Pair equal keys of one level, and fill the gaps by the next level."""
    if level == width or left[0] == left[1] or right[0] == right[1]:
        yield from ((place, None) for place in range(*left))
        yield from ((None, place) for place in range(*right))
        return
    done_old, done_new = left[0], right[0]
    blocks = _blocks([key[level] for key in old[slice(*left)]], [key[level] for key in new[slice(*right)]])
    for start, other, size in [*blocks, (left[1] - left[0], right[1] - right[0], 0)]:
        gap_old, gap_new = (done_old, left[0] + start), (done_new, right[0] + other)
        yield from _pass(old, new, gap_old, gap_new, level=level + 1, width=width)
        done_old, done_new = gap_old[1] + size, gap_new[1] + size
        yield from zip(range(gap_old[1], done_old), range(gap_new[1], done_new), strict=True)


def _blocks(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int, int]]:
    """Stretches of equal keys, in order: place in old, place in new, length. Equal ends need no search."""
    most = min(len(old), len(new))
    head = next((n for n in range(most) if old[n] != new[n]), most)
    tail = next((n for n in range(most - head) if old[-1 - n] != new[-1 - n]), most - head)
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(middle_old) * len(middle_new) > MOST_CELLS:
        middle = [(n, n, 1) for n, (a, b) in enumerate(zip(middle_old, middle_new, strict=False)) if a == b]
    else:
        matcher = SequenceMatcher(None, middle_old, middle_new, autojunk=False)
        middle = [(block.a, block.b, block.size) for block in matcher.get_matching_blocks() if block.size]
    return [
        (0, 0, head),
        *((a + head, b + head, size) for a, b, size in middle),
        (len(old) - tail, len(new) - tail, tail),
    ]


# --- fields ---


def _changes(path: str, old: 'Json | Absent', new: 'Json | Absent') -> Iterator[Change]:
    """Walk two values side by side down to the fields that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes(_joined(path, key), old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(path, old, new)
    elif type(old) is not type(new) or old != new:
        yield Change(path=path, old=old, new=new)


def _list_changes(path: str, old: list[Json], new: list[Json]) -> Iterator[Change]:
    for left, right in _aligned(_list_keys(old), _list_keys(new)):
        place = cast('int', left if right is None else right)
        yield from _changes(
            f'{path}[{place}]', ABSENT if left is None else old[left], ABSENT if right is None else new[right]
        )


def _list_keys(values: list[Json]) -> _Keys:
    """Equal members first, then parts of one kind and tool, and plain values with plain values."""
    return [(dumps(value), _kind(value)) for value in values]


def _kind(value: Json) -> Hashable:
    if isinstance(value, dict):
        return tuple(str(value.get(key)) for key in ('part', 'tool_name', 'type', 'kind', 'name'))
    return isinstance(value, list)


def _joined(path: str, key: str) -> str:
    named = key if key.replace('_', '').replace('-', '').isalnum() else dumps(key).decode()
    return f'{path}.{named}' if path else named
