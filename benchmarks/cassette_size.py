"""Size of cassettes against the messages that they hold, over the recorded histories.

Run: python benchmarks/cassette_size.py

Prints bytes against the compact messages JSON and numbers of lines, for the short form and, to compare, for the same
messages as indented JSON. Imported histories carry their real times, one line a message; recordings do not. Aimed at
are 1.13x in all and a median of 1.09x for those over 4 kB; the budget is 1.25x the messages and 1 kB. Streamed
responses are written as lines of cuts, against the indented JSON of their events; aimed at are 20 kB for all.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))  # runs from a checkout that is not installed

from replay.canon import dumps as canonical  # needs the path above
from replay.canon import spaced
from replay.codec import dumps, loads
from replay.cuts import pack_stream, unpack_stream
from replay.history import from_history, to_history
from tests.helpers import CORPUS_ABSENT, corpus
from tests.replay.messages import OVER, opening

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


class Streams(NamedTuple):
    """What the events of one history take."""

    responses: int
    deltas: int
    cuts: int
    plain_bytes: int
    exact: bool


def measure_streams(record: dict[str, Any]) -> Streams:
    """Write the events of streamed responses as cuts into their parts, read them, compare."""
    new = json.loads(record['all_messages_json'])[record['history_messages_in'] :]
    responses: list[Any] = [message for message in new if message['kind'] == 'response']
    events: list[Any] = record['events'] or []
    segments = [one for one in events if one['source'] == 'model_response']
    told: list[tuple[Any, Any]] = [
        pair for pair in zip(responses, segments, strict=False) if pair[1]['n'] and pair[1]['events_json']
    ]
    deltas = cuts = plain = 0
    exact = True
    for response, segment in told:
        passed = json.loads(segment['events_json'])
        line = pack_stream((opening(response), *passed, OVER), response)
        exact &= canonical([*unpack_stream(line, response)[1:-1]]).decode() == segment['events_json']
        deltas += sum(event['event_kind'] == 'part_delta' for event in passed)
        cuts += len(spaced(line).encode())
        plain += len(json.dumps(passed, indent=2, ensure_ascii=False).encode())
    return Streams(len(told), deltas, cuts, plain, exact)


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
    streams = [measure_streams(record) for record in corpus()]
    count, deltas, cuts, whole, _ = (sum(found) for found in zip(*streams, strict=True))
    print(f'streams              {count} of {deltas} deltas: {cuts / 1000:.1f} kB, one line each')
    print(f'indented events      {whole / 1000:.0f} kB')
    print(f'cassettes, streams   {short + cuts / total:.3f}x')
    for size in over:
        print(f'  over: {size.name}  {size.cassette} bytes for {size.messages}')
    return 0 if all(found.exact for found in (*sizes, *streams)) else 1


if __name__ == '__main__':
    sys.exit(main())
