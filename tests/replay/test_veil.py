"""Recordings that were made before their secrets were known."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from replay import codec
from replay.canon import JsonObject, dumps
from replay.cassette import Attempt, Cassette, Definition, Node, Raised, Run, ToolResult
from replay.redact import Redactor
from replay.veil import veiled_cassette, veiled_run
from tests.replay.secrets_planted import SECRETS
from tests.replay.wire import answered, call, text

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


LONG = 'A line that goes before.\n' * 5
PLANTED = {
    **SECRETS,
    'a value of a variable': SECRET,
    'a value of lines': 'tulips\nand windmills',
    'a value with quotes': 'tulips "and" \\mills/',
}
PLACES: dict[str, Callable[[str], JsonObject]] = {
    'text': lambda secret: text(f'It is {secret}'),
    'a long text': lambda secret: text(f'{LONG}{secret}\n{LONG}'),
    'arguments': lambda secret: call(args={'q': [secret]}),
    'long arguments': lambda secret: call(args={'q': f'{LONG}{secret}'}),
    'arguments as text': lambda secret: call(args=json.dumps({'q': secret, 'n': 1}, separators=(',', ':'))),
    'spaced arguments as text': lambda secret: call(args=json.dumps({'q': {'x': secret}})),
    'arguments in a text': lambda secret: text(json.dumps({'q': secret})),
}


@pytest.mark.parametrize('place', PLACES.values(), ids=PLACES)
@pytest.mark.parametrize('secret', PLANTED.values(), ids=PLANTED)
def test_a_look_at_the_text_of_a_cassette_finds_what_a_look_at_its_runs_does(
    secret: str, place: Callable[[str], JsonObject]
) -> None:
    redactor = Redactor(
        {'GARDEN_TOKEN': SECRET, 'LINES_TOKEN': 'tulips\nand windmills', 'Q_KEY': PLANTED['a value with quotes']}
    )
    message = answered(call()) | {'parts': [place(secret)], 'usage': {}}
    cassette = Cassette(runs=(replace(RUN, nodes=(replace(NODE, message=message),)),), wire='full')
    written = codec.dumps(cassette)

    found = veiled_cassette(cassette, redactor, text=written)

    assert found.runs == (veiled_run(cassette.runs[0], redactor),)
    assert secret not in dumps(found).decode()  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize('escape', ['\\u0074ulips-and-windmills', 'tulips-\\u0061nd-windmills'])
def test_a_secret_that_is_spelt_with_escapes_by_hand_is_found(escape: str) -> None:
    cassette = Cassette(runs=(replace(RUN, nodes=(NODES['message'],)),))
    by_hand = f'{{"content": "{escape}"}}'

    found = veiled_cassette(cassette, Redactor({'GARDEN_TOKEN': SECRET}), text=by_hand)

    assert SECRET not in dumps(found).decode()  # pyright: ignore[reportArgumentType]


def test_a_cassette_without_secrets_stays_the_same_object() -> None:
    cassette = Cassette(runs=(RUN,))
    assert veiled_cassette(cassette, Redactor({'OTHER_TOKEN': 'cheese-and-bicycles'}), text='{}') is cassette
