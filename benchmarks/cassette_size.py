"""Size of cassettes against the messages that they hold, over the recorded histories.

Run: python benchmarks/cassette_size.py

Prints bytes against the compact messages JSON and numbers of lines, for the short form and, to compare, for the same
messages as indented JSON. Imported histories carry their real times, one line a message; recordings do not. Aimed at
are 1.13x in all and a median of 1.09x for those over 4 kB; the budget is 1.25x the messages and 1 kB.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

from replay.codec import dumps, loads  # needs the path above
from replay.history import from_history, to_history
from tests.helpers import CORPUS_ABSENT, corpus

_BUDGET_RATIO = 1.25
_BUDGET_BYTES = 1024
_LONG = 4000


class Size(NamedTuple):
    """What one history takes."""

    name: str
    messages: int
    cassette: int
    lines: int
    plain_bytes: int
    plain_lines: int
    exact: bool


def measure(record: dict[str, object]) -> Size:
    """Import one recorded history, write it, read it, compare."""
    text = str(record['all_messages_json'])
    cassette = from_history(
        text,
        new_from=int(str(record['history_messages_in'])),
        output_tool=str(record['output_tool_name']) if record['output_tool_name'] else None,
        entry=str(record['driver']),
        error=record['error'],  # pyright: ignore[reportArgumentType]  # as it stands in the line
    ).cassette
    written = dumps(cassette)
    plain = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return Size(
        name=str(record['test_id']),
        messages=len(text.encode()),
        cassette=len(written.encode()),
        lines=written.count('\n'),
        plain_bytes=len(plain.encode()),
        plain_lines=plain.count('\n'),
        exact=to_history(loads(written)) == text.encode(),
    )


def main() -> int:
    """Print the figures; fail if there is nothing to measure or a history does not come back."""
    sizes = [measure(record) for record in corpus()]
    if not sizes:
        print(CORPUS_ABSENT)
        return 1
    total = sum(size.messages for size in sizes)
    over = [size for size in sizes if size.cassette > _BUDGET_RATIO * size.messages + _BUDGET_BYTES]
    long = [size.cassette / size.messages for size in sizes if size.messages > _LONG]
    print(f'histories            {len(sizes)}, restored to the same bytes {sum(size.exact for size in sizes)}')
    print(f'messages             {total} bytes of compact JSON')
    short, plain = (sum(found) / total for found in zip(*((s.cassette, s.plain_bytes) for s in sizes), strict=True))
    print(f'cassettes            {short:.3f}x, {sum(size.lines for size in sizes)} lines')
    print(f'indented messages    {plain:.3f}x, {sum(size.plain_lines for size in sizes)} lines')
    print(f'over 4 kB            median {median(long):.3f}x, worst {max(long):.3f}x of {len(long)}')
    print(f'within the budget    {len(sizes) - len(over)} of {len(sizes)}  (1.25x + 1 kB)')
    for size in over:
        print(f'  over: {size.name}  {size.cassette} bytes for {size.messages}')
    return 0 if all(size.exact for size in sizes) else 1


if __name__ == '__main__':
    sys.exit(main())
