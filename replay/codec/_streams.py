"""The lines of streamed responses at the end of a run: one for each request, `null` for one that was not streamed."""

from collections.abc import Sequence
from dataclasses import replace

from replay.canon import Json
from replay.cassette import Node
from replay.cuts import pack_stream, unpack_stream
from replay.streams import response_to

from ._faults import Place
from ._layout import Lines


def pack_streams(nodes: Sequence[Node]) -> Lines:
    """Make the lines of a run; none at all if nothing was streamed.

    Args:
        nodes: The nodes of the run.
    """
    if all(node.stream is None for node in nodes):
        return Lines()
    return Lines(
        None if node.stream is None else pack_stream(node.stream, response_to(node, nodes[index + 1 :]))
        for index, node in enumerate(nodes)
        if node.kind == 'ModelRequestNode'
    )


def read_streams(nodes: list[Node], lines: Json, place: Place) -> tuple[Node, ...]:
    """Put the streams that lines tell of on the nodes that asked for them.

    Args:
        nodes: The nodes of the run, without streams.
        lines: What stands under `streams`; None if nothing does.
        place: For errors.
    """
    if lines is None:
        return tuple(nodes)
    told = place.array(lines, 'streams')
    asked = [index for index, node in enumerate(nodes) if node.kind == 'ModelRequestNode']
    if len(told) != len(asked):
        place.inconsistent(
            f'{"more" if len(told) > len(asked) else "fewer"} lines of streams than requests',
            expected=f'{len(asked)} lines, one for each request',
            got=str(len(told)),
            field='streams',
        )
    found = [*nodes]
    for number, (index, line) in enumerate(zip(asked, told, strict=True)):
        if line is None:
            continue
        field = f'streams.{number}'
        try:
            stream = unpack_stream(place.array(line, field), response_to(nodes[index], nodes[index + 1 :]))
        except ValueError as error:
            place.damaged(f'a stream cannot be read: {error}', field=field)
        found[index] = replace(nodes[index], stream=stream)
    return tuple(found)


__all__ = ('pack_streams', 'read_streams')
