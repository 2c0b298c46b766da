"""What was recorded beside what was played, in two columns: the text of a recording that was not asked for."""

from collections.abc import Sequence

from .calls import parts_of
from .cassette import Node, Raised, Run
from .printable import printable, shortened

_SHOWN_BEFORE = 2
"""How many nodes are shown that were played last."""

_WIDTH = 48
"""Columns of what was recorded, if it needs no more."""

_LONGEST = 60
"""Most characters of what a node did."""


def beside(recorded: Run, first: int, *, raised: Raised | None) -> list[str]:
    """Put the nodes of a recording beside those of the run that it stands for.

    Args:
        recorded: The recording.
        first: Index of its first node that was not played.
        raised: The error that ended the run, if one did.
    """
    nodes = list(enumerate(recorded.nodes))[max(0, first - _SHOWN_BEFORE) :]
    rows = [(f'{node.kind:<18}{_words(node)}'.rstrip(), index < first) for index, node in nodes]
    pairs = [(text, text if played else '-') for text, played in rows]
    if raised is not None and first:
        last = min(_SHOWN_BEFORE, first) - 1
        pairs[last] = (pairs[last][0], f'{pairs[last][1]}   <- raised here: {raised.type.rpartition(".")[2]}')
    return in_columns(pairs, numbers=[index for index, _ in nodes])


def in_columns(pairs: Sequence[tuple[str, str]], *, numbers: Sequence[int] | None = None) -> list[str]:
    """Write what was recorded and what this run did side by side, below their titles.

    Args:
        pairs: Both texts of each line.
        numbers: What each line is numbered with; None: from 0.
    """
    shown = [(printable(left), printable(right)) for left, right in pairs]
    width = max(_WIDTH, *(len(left) + 2 for left, _ in shown)) if shown else _WIDTH
    names = [str(number) for number in (range(len(shown)) if numbers is None else numbers)]
    margin = max(map(len, names), default=1)
    lines = [f'{name:>{margin}} {left:<{width}}{right}' for name, (left, right) in zip(names, shown, strict=True)]
    return [f'{"":<{margin}} {"recorded":<{width}}this run', *lines]


def _words(node: Node) -> str:
    """What a node did, in a few words."""
    parts = parts_of(node.message)
    kinds = [str(part['part_kind']) for part in parts]
    if node.kind == 'ModelRequestNode':
        results = sum(kind in {'tool-return', 'retry-prompt'} for kind in kinds)
        told = [kind.replace('-', ' ') for kind in dict.fromkeys(kinds) if kind in {'system-prompt', 'user-prompt'}]
        words = ', '.join([*told, *([f'{results} result{"s" * (results > 1)}'] if results else [])])
    else:
        called = [str(part.get('tool_name') or kind) for part, kind in zip(parts, kinds, strict=True)]
        words = ', '.join(dict.fromkeys(called) if len(set(called)) < len(called) else called)
    return shortened(words, limit=_LONGEST)
