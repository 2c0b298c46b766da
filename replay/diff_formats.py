"""A comparison as text for terminals, as Markdown for pull requests, as JSON for machines.

The text is made of marked lines, so that whoever shows it may colour them; everything in it that came out of a
recording is safe to print.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal, TypeAlias

from .canon import Json, JsonObject
from .diff import ABSENT, MOST_CELLS, Absent, CassetteDiff, Change, NodeDiff, RunDiff, Status
from .outline import compact
from .printable import printable, printable_lines, shortened

__all__ = (
    'Line',
    'Mark',
    'change_pages',
    'diff_to_json',
    'diff_to_markdown',
    'diff_to_text',
    'marked_lines',
    'summary',
)

NEARBY = 2
"""Unchanged nodes, or lines of a text, that are shown on each side of a change."""
FOLD_FROM = 2
"""Fewest unchanged nodes in a row that are worth folding away."""
VALUE_LIMIT = 300
"""Most characters of a value that text and Markdown show; JSON has all."""
LINE_LIMIT = 40
"""Most lines of one changed text that text and Markdown show."""

Mark: TypeAlias = Literal['#', ' ', '~', '+', '-']
"""What a line says: heading, unchanged, changed, in the new recording only, in the old one only."""

_SIGNS: dict[Status, Mark] = {'same': ' ', 'changed': '~', 'added': '+', 'removed': '-'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the text form: the mark stands in front of it, after the indent."""

    mark: Mark
    text: str
    indent: int = 0

    def __str__(self) -> str:
        """The line as a terminal shows it."""
        body = f'{self.mark} {self.text}' if self.mark != '#' else self.text
        return f'{" " * self.indent}{body}'.rstrip()


def marked_lines(diff: CassetteDiff) -> list[Line]:
    """Tell a comparison in lines.

    Args:
        diff: What was compared.

    Returns:
        Two lines that name the sides, then each run with its nodes; stretches of equal nodes are folded.
    """
    lines = [Line(mark='-', text=_label(diff.old)), Line(mark='+', text=_label(diff.new))]
    for run in diff.runs:
        lines.extend(_run_lines(run))
    return lines


def change_pages(diff: CassetteDiff) -> list[list[Line]]:
    """Tell a comparison change by change.

    Args:
        diff: What was compared.

    Returns:
        The lines of a page for each node that differs: its run, the nodes around it by their lines, what changed in it.
        A run that is new or gone is one page; runs that do not differ have none.
    """
    return [page for run in diff.runs if run.status != 'same' for page in _run_pages(run)]


def diff_to_text(diffs: Sequence[CassetteDiff]) -> str:
    """Write comparisons for a terminal.

    Args:
        diffs: In the order in which they are shown.

    Returns:
        Lines with a newline at the end of each; empty if there is nothing to compare.
    """
    return '\n'.join(''.join(f'{line}\n' for line in marked_lines(diff)) for diff in diffs)


def diff_to_markdown(diffs: Sequence[CassetteDiff]) -> str:
    """Write comparisons for a pull request: one heading and one `diff` block a cassette.

    Args:
        diffs: In the order in which they are shown; equal ones are only counted.

    Returns:
        Markdown in which nothing from a recording can leave its code block.
    """
    changed = [diff for diff in diffs if diff.differs]
    parts = [f'**{summary(diffs)}**\n']
    for diff in changed:
        body = ''.join(f'{_in_diff_block(line)}\n' for line in marked_lines(diff)[2:])
        fence = '`' * max(3, _longest_ticks(body) + 1)
        parts.append(f'### {_code(diff.new or diff.old or "")}\n\n{_sides(diff)}{fence}diff\n{body}{fence}\n')
    return '\n'.join(parts)


def diff_to_json(diffs: Sequence[CassetteDiff]) -> JsonObject:
    """Put comparisons into JSON: every changed value in full, unchanged nodes by their line.

    Args:
        diffs: In the order in which they are listed.

    Returns:
        `differs` and `cassettes`; a side that is not there is null, a field that is not there has no `old` or `new`.
    """
    return {'differs': any(diff.differs for diff in diffs), 'cassettes': [_cassette_json(diff) for diff in diffs]}


def summary(diffs: Sequence[CassetteDiff]) -> str:
    """Count what became of the cassettes and their nodes, in one line."""
    differ = sum(diff.differs for diff in diffs)
    runs = [run for diff in diffs for run in diff.runs]
    nodes = [f'{count} {status}' for status in _TOLD if (count := sum(run.count(status) for run in runs))]
    told = f' ({", ".join(nodes)} nodes)' if nodes else ''
    return f'{differ} of {len(diffs)} cassettes differ{told}'


# --- text ---

_TOLD: tuple[Status, ...] = ('changed', 'added', 'removed')


def _label(label: str | None) -> str:
    return '(none)' if label is None else printable(label)


def _run_lines(run: RunDiff) -> Iterator[Line]:
    yield from _run_head(run)
    for folded, nodes in _folded(run.nodes):
        if folded:
            yield Line(mark=' ', text=f'... {len(nodes)} unchanged nodes', indent=2)
        else:
            for node in nodes:
                yield from _node_lines(node)


def _run_head(run: RunDiff) -> Iterator[Line]:
    counts = [f'{run.count(status)} {status}' for status in _TOLD if run.count(status)]
    told = {'added': 'new run', 'removed': 'run is gone'}.get(run.status) or ', '.join(counts)
    told = told or ('changed' if run.changes else 'no difference')
    yield Line(mark='#', text=f'run {printable(run.name)}: {told}')
    for change in run.changes:
        yield from _change_lines(change)


def _run_pages(run: RunDiff) -> Iterator[list[Line]]:
    changed = [place for place, node in enumerate(run.nodes) if node.status != 'same']
    if run.status != 'changed' or not changed:
        yield list(_run_lines(run))
        return
    head = list(_run_head(run))
    for place in changed:
        before, after = run.nodes[max(0, place - NEARBY) : place], run.nodes[place + 1 : place + 1 + NEARBY]
        node = _node_lines(run.nodes[place])
        yield [*head, *map(_node_line, before), *node, *map(_node_line, after)]
        head = head[:1]  # what holds for the run as a whole is told once


def _folded(nodes: Sequence[NodeDiff]) -> Iterator[tuple[bool, list[NodeDiff]]]:
    """Divide nodes into stretches to show and stretches to fold."""
    changed = [place for place, node in enumerate(nodes) if node.status != 'same']
    near = {other for place in changed for other in range(place - NEARBY, place + NEARBY + 1)}
    for far, group in groupby(enumerate(nodes), key=lambda numbered: numbered[0] not in near):
        stretch = [node for _, node in group]
        yield bool(changed) and far and len(stretch) >= FOLD_FROM, stretch


def _node_line(node: NodeDiff) -> Line:
    return Line(mark=_SIGNS[node.status], text=f'{node.item.index} {node.item.line}', indent=2)


def _node_lines(node: NodeDiff) -> Iterator[Line]:
    yield _node_line(node)
    for change in node.changes:
        yield from _change_lines(change)


def _change_lines(change: Change) -> Iterator[Line]:
    yield Line(mark=' ', text=printable(change.path), indent=4)
    if isinstance(change.old, str) and isinstance(change.new, str) and _by_lines(change.old, change.new):
        yield from _text_lines(change.old, change.new)
        return
    old, new = _shown_pair(change.old, change.new)
    if old is not None:
        yield Line(mark='-', text=old, indent=6)
    if new is not None:
        yield Line(mark='+', text=new, indent=6)


def _shown_pair(old: 'Json | Absent', new: 'Json | Absent') -> tuple[str | None, str | None]:
    """Both values on a line each; long texts from shortly before the place where they part."""
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > VALUE_LIMIT:
        same = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        start = max(0, same - VALUE_LIMIT // 4)
        skipped = f'({start} chars) ...' if start else ''
        return (
            f'{skipped}{compact(old[start:], limit=VALUE_LIMIT)}',
            f'{skipped}{compact(new[start:], limit=VALUE_LIMIT)}',
        )
    return _shown(old), _shown(new)


def _shown(value: 'Json | Absent') -> str | None:
    return None if value is ABSENT else compact(value, limit=VALUE_LIMIT)


def _by_lines(old: str, new: str) -> bool:
    """Whether texts have lines, and not so many that comparing them takes long."""
    lines, others = old.count('\n') + 1, new.count('\n') + 1
    return max(lines, others) > 1 and lines * others <= MOST_CELLS


def _text_lines(old: str, new: str) -> Iterator[Line]:
    """A text of several lines, with its changed lines and what stands nearby."""
    left, right = printable_lines(old), printable_lines(new)
    lines: list[Line] = []
    for group in SequenceMatcher(None, left, right, autojunk=False).get_grouped_opcodes(NEARBY):
        if group[0][1] or lines:
            lines.append(Line(mark=' ', text=f'... from line {group[0][3] + 1}', indent=6))
        for tag, start, end, other, stop in group:
            if tag == 'equal':
                lines.extend(_cut_lines(' ', left[start:end]))
            else:
                lines.extend(_cut_lines('-', left[start:end]))
                lines.extend(_cut_lines('+', right[other:stop]))
    yield from lines[:LINE_LIMIT]
    if len(lines) > LINE_LIMIT:
        yield Line(mark=' ', text=f'... {len(lines) - LINE_LIMIT} more lines', indent=6)


def _cut_lines(mark: Mark, texts: Sequence[str]) -> Iterator[Line]:
    return (Line(mark=mark, text=shortened(text, limit=VALUE_LIMIT), indent=6) for text in texts)


# --- Markdown ---


def _in_diff_block(line: Line) -> str:
    """A `diff` block colours by the first character of a line; a changed node is no whole line of either side."""
    if line.mark == '#':
        return f'@@ {line.text} @@'
    sign = '!' if line.mark == '~' else line.mark
    return f'{sign}{" " * line.indent}{line.text}'.rstrip()


def _sides(diff: CassetteDiff) -> str:
    if diff.old is None:
        return 'New recording.\n\n'
    if diff.new is None:
        return 'The recording is gone.\n\n'
    return f'Compared with {_code(diff.old)}.\n\n'


def _code(text: str) -> str:
    safe = printable(text)
    ticks = '`' * (_longest_ticks(safe) + 1)
    pad = ' ' if safe.startswith('`') or safe.endswith('`') else ''
    return f'{ticks}{pad}{safe}{pad}{ticks}'


def _longest_ticks(text: str) -> int:
    return max((len(list(group)) for char, group in groupby(text) if char == '`'), default=0)


# --- JSON ---


def _cassette_json(diff: CassetteDiff) -> JsonObject:
    return {
        'old': diff.old,
        'new': diff.new,
        'differs': diff.differs,
        'runs': [
            {
                'old': run.old,
                'new': run.new,
                'status': run.status,
                'changes': [_change_json(change) for change in run.changes],
                'nodes': [_node_json(node) for node in run.nodes],
            }
            for run in diff.runs
        ],
    }


def _node_json(node: NodeDiff) -> JsonObject:
    found: JsonObject = {
        'status': node.status,
        'kind': node.item.kind,
        'old_index': node.old.index if node.old else None,
        'new_index': node.new.index if node.new else None,
        'line': node.item.line,
    }
    if node.changes:
        found['changes'] = [_change_json(change) for change in node.changes]
    return found


def _change_json(change: Change) -> JsonObject:
    found: JsonObject = {'path': change.path}
    if change.old is not ABSENT:
        found['old'] = change.old
    if change.new is not ABSENT:
        found['new'] = change.new
    return found
