"""Recordings that were made before their secrets were known."""

from dataclasses import replace

import pytest

from replay.canon import dumps
from replay.cassette import Attempt, Definition, Node, Raised, Run, ToolResult
from replay.redact import Redactor
from replay.veil import veiled_run

SECRET = 'tulips-and-windmills'
NODE = Node(kind='CallToolsNode', message={'kind': 'response', 'parts': []})
RUN = Run(name='agent', agent='agent', nodes=(NODE,))

NODES = {
    'message': replace(NODE, message={'kind': 'response', 'parts': [{'content': SECRET}]}),
    'definition': replace(NODE, definition=Definition(instructions=SECRET)),
    'counted': replace(NODE, counted={'details': {SECRET: 1}}),
    'result': replace(NODE, results={0: ToolResult(kind='return', content=SECRET)}),
    'attempt': replace(NODE, attempts=(Attempt(model='one', raised=Raised(type='OSError', message=SECRET)),)),
    'error': replace(NODE, raised=Raised(type='OSError', message=SECRET)),
    'fact': replace(NODE, facts={'output': SECRET}),
    'message after it': replace(NODE, then=({'kind': 'request', 'parts': [{'content': SECRET}]},)),
    'stream': replace(NODE, stream=({'event_kind': 'x', 'index': 0, 'part': {'content': SECRET}},)),
}
RUNS = {
    **{name: replace(RUN, nodes=(NODE, node)) for name, node in NODES.items()},
    'agent': replace(RUN, agent=SECRET),
    'history': replace(RUN, history=({'kind': 'request', 'parts': [{'content': SECRET}]},)),
    'fact of the run': replace(RUN, facts={'prompt': SECRET}),
}


@pytest.mark.parametrize('run', RUNS.values(), ids=RUNS)
def test_a_secret_is_found_wherever_it_stands_in_a_recording(run: Run) -> None:
    found = veiled_run(run, Redactor({'GARDEN_TOKEN': SECRET}))

    assert SECRET not in dumps(found).decode()  # pyright: ignore[reportArgumentType]  # a dataclass of JSON
    assert SECRET in dumps(run).decode()  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize('run', RUNS.values(), ids=RUNS)
def test_a_recording_without_secrets_stays_the_same_object(run: Run) -> None:
    assert veiled_run(run, Redactor({'OTHER_TOKEN': 'cheese-and-bicycles'})) is run
