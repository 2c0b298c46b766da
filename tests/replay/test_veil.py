"""What a run does and what a cassette holds, without their secrets."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from replay import codec
from replay.canon import JsonObject, dumps
from replay.cassette import Attempt, Cassette, Definition, Node, Raised, Run, ToolResult
from replay.effects import Answered, Count, Counted, Cut, Effect, Ended, Failed, Finish, Outcome, Request
from replay.errors import ReplayError, Where
from replay.exchange import Exchange
from replay.redact import Redactor
from replay.veil import Leak, SecretLeft, Veil, leaks_of, marked, redacted_error, veiled_cassette, veiled_run
from tests.replay.secrets_planted import SECRETS
from tests.replay.wire import answered, asked, call, calls, finish, request, text, user

SECRET, STAND_IN = 'tulips-and-windmills', '<secret:env GARDEN_TOKEN>'
REDACTOR = Redactor({'GARDEN_TOKEN': SECRET})
VEIL = Veil(REDACTOR)
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


# -- what comes in


def test_a_request_is_redacted_with_all_that_it_sends_and_carries() -> None:
    message, before = asked(user(f'It is {SECRET}')), answered(text(SECRET))
    definition = Definition(instructions=f'Use {SECRET}.')

    found = VEIL.effect(request(message, before, definition=definition))

    expected = request(
        asked(user(f'It is {STAND_IN}')),
        answered(text(STAND_IN)),
        definition=Definition(instructions=f'Use {STAND_IN}.'),
    )
    assert found == replace(expected, sent=[*expected.sent])


def test_a_message_that_is_sent_as_it_is_stays_one_object() -> None:
    message = dumps(asked(user(SECRET)))
    sent = Request(message=message, sent=(message,), appended=True, definition=Definition())

    found = VEIL.effect(sent)

    assert isinstance(found, Request)
    assert found.sent[0] is found.message
    assert SECRET.encode() not in found.message


def test_equal_definitions_stay_one_object() -> None:
    veil, definition = Veil(REDACTOR), Definition(instructions=SECRET)

    first, again = (veil.effect(request(asked(user()), definition=definition)) for _ in range(2))

    assert isinstance(first, Request)
    assert isinstance(again, Request)
    assert first.definition == Definition(instructions=STAND_IN)
    assert again.definition is first.definition


def test_calls_are_redacted_and_a_count_holds_nothing() -> None:
    response = answered(call(args={'q': SECRET}))

    assert VEIL.effect(calls(response)) == calls(answered(call(args={'q': STAND_IN})))
    assert VEIL.effect(count := Count()) is count


def test_of_an_effect_that_the_recording_has_only_the_definition_is_redacted() -> None:
    effect = request(asked(user(SECRET)), definition=Definition(instructions=SECRET))

    assert VEIL.known(effect) == replace(effect, definition=Definition(instructions=STAND_IN))


@pytest.mark.parametrize('effect', [Count(), request(asked(user(SECRET)))], ids=['count', 'request'])
def test_an_effect_that_the_recording_has_is_the_same_object_if_its_definition_is_clear(effect: Effect) -> None:
    assert VEIL.known(effect) is effect


def streamed(content: str) -> tuple[JsonObject, ...]:
    return ({'usage': {}}, {'event_kind': 'part_end', 'index': 0, 'part': {'content': content, 'part_kind': 'text'}})


def outcomes(secret: str) -> dict[str, Outcome]:
    raised = Raised(type='OSError', message=f'with {secret}', args={'body': {'detail': secret}})
    result = ToolResult(
        kind='return', content=secret, metadata=[secret], user_content=secret, raised=raised, usage={'tool': secret}
    )
    return {
        'answered': Answered(message=answered(text(secret))),
        'answered in pieces': Answered(message=answered(text(secret)), stream=streamed(secret)),
        'counted': Counted(usage={'details': {secret: 1}}),
        'failed': Failed(raised=raised),
        'failed in pieces': Failed(raised=raised, stream=streamed(secret)),
        'cut': Cut(stream=streamed(secret)),
        'ended': Ended(started=[0], finished=[0], results={0: result}),
    }


@pytest.mark.parametrize('kind', outcomes(SECRET))
def test_an_outcome_is_redacted_wherever_it_holds_a_secret(kind: str) -> None:
    assert VEIL.outcome(outcomes(SECRET)[kind]) == outcomes(STAND_IN)[kind]


def test_an_outcome_without_secrets_stays_the_same_object() -> None:
    outcome = outcomes('roses')['ended']
    assert VEIL.outcome(outcome) is outcome


def test_how_a_run_was_left_is_redacted_with_its_error_and_its_facts() -> None:
    def left(secret: str) -> Finish:
        raised = Raised(type='OSError', message=secret)
        return finish(asked(user(secret)), new_from=0, raised=raised, facts={'output': secret})

    assert VEIL.finish(left(SECRET)) == left(STAND_IN)
    assert VEIL.finish(finish(asked(user()))) == finish(asked(user()))


LIVE, RECORDED = '5f0c9a52-7d1e-4b7e-9c55-0b6a4f6f2c11', '0b6a4f6f-9c55-4b7e-8d1e-5f0c9a522c11'


@pytest.fixture(name='exchange')
def bound_exchange() -> Exchange:
    """One by which a live id stands for a recorded one."""
    exchange = Exchange([RECORDED])
    assert exchange.respelt(RECORDED, LIVE) == RECORDED
    return exchange


def test_a_respelt_message_that_never_held_a_secret_is_shown_as_it_is(exchange: Exchange) -> None:
    live, respelt = dumps(asked(user(LIVE))), dumps(asked(user(RECORDED)))
    assert VEIL.unveiled(live, respelt, exchange) is respelt


def test_a_respelt_message_gets_its_secret_back(exchange: Exchange) -> None:
    live, respelt = dumps(asked(user(f'{LIVE} {SECRET}'))), dumps(asked(user(f'{RECORDED} {STAND_IN}')))
    assert VEIL.unveiled(live, respelt, exchange) == dumps(asked(user(f'{RECORDED} {SECRET}')))


def test_a_message_that_was_respelt_in_another_way_is_shown_as_it_came(exchange: Exchange) -> None:
    live, respelt = dumps(asked(user(f'{LIVE} {SECRET}'))), dumps(asked(user(f'otherwise {STAND_IN}')))
    assert VEIL.unveiled(live, respelt, exchange) is live


# -- marks


HELD: dict[str, Run] = {
    'a text': replace(RUN, facts={'prompt': f'It is {STAND_IN}'}),
    'a key': replace(RUN, facts={'prompt': {STAND_IN: 1}}),
    'a list': replace(RUN, facts={'prompt': [0, STAND_IN]}),
    'a stream': replace(RUN, nodes=(NODE, replace(NODE, stream=streamed(STAND_IN)))),
}


@pytest.mark.parametrize('run', HELD.values(), ids=HELD)
def test_a_run_that_holds_a_stand_in_is_marked(run: Run) -> None:
    found = marked(replace(run, marks=('rebound',)))
    assert found == replace(run, marks=('rebound', 'redacted'))
    assert marked(found) is found


OTHERS = {
    'without one': RUN,
    'with what looks like one': replace(RUN, facts={'prompt': '<secret:>', 'number': 1}),
    'with a stream': replace(RUN, nodes=(replace(NODE, stream=streamed('tulips')),)),
}


@pytest.mark.parametrize('run', OTHERS.values(), ids=OTHERS)
def test_a_run_that_holds_no_stand_in_is_not_marked(run: Run) -> None:
    assert marked(run) is run


# -- what is left


def places(run: Run) -> list[tuple[str | None, str]]:
    return [(leak.node, leak.field) for leak in leaks_of(Cassette(runs=(run,)), REDACTOR, text='')]


BROKEN = Raised(type='OSError', message=SECRET, args={'body': SECRET})
LEFT: dict[str, tuple[Run, list[tuple[str | None, str]]]] = {
    'agent': (replace(RUN, agent=SECRET), [(None, 'agent')]),
    'definition': (
        replace(RUN, nodes=(replace(NODE, definition=Definition(instructions=SECRET, output={'mode': SECRET})),)),
        [('0 CallToolsNode', 'instructions'), ('0 CallToolsNode', 'output.mode')],
    ),
    'error': (
        replace(RUN, nodes=(NODE, replace(NODE, raised=BROKEN))),
        [('1 CallToolsNode', 'raised.message'), ('1 CallToolsNode', 'raised.args.body')],
    ),
    'attempt': (
        replace(RUN, nodes=(replace(NODE, attempts=(Attempt(model='one', response=answered(text(SECRET))),)),)),
        [('0 CallToolsNode', 'attempts[0].response.parts[0].content')],
    ),
    'result': (
        replace(RUN, nodes=(replace(NODE, results={1: ToolResult(kind='raised', raised=BROKEN)}),)),
        [('0 CallToolsNode', 'results[1].raised.message'), ('0 CallToolsNode', 'results[1].raised.args.body')],
    ),
    'node without a message': (
        replace(RUN, nodes=(Node(kind='UserPromptNode'), Node(kind='End', facts={'output': SECRET}))),
        [('1 End', 'facts.output')],
    ),
}


@pytest.mark.parametrize(('run', 'expected'), LEFT.values(), ids=LEFT)
def test_a_secret_that_was_left_is_named_by_node_and_field(run: Run, expected: list[tuple[str | None, str]]) -> None:
    assert places(run) == expected


def test_a_cassette_without_secrets_has_no_leaks() -> None:
    assert leaks_of(Cassette(runs=(RUN,)), REDACTOR, text='{}\n') == ()


def test_a_secret_that_only_the_text_of_a_cassette_holds_is_named_by_its_line() -> None:
    leaks = leaks_of(Cassette(runs=(RUN,)), REDACTOR, text=f'{{\n"{SECRET}"')
    assert leaks == (Leak(kind=STAND_IN, field='line 2'),)


def test_a_secret_in_the_name_of_a_test_is_found_and_its_runs_are_named_without_it() -> None:
    cassette = Cassette(test=SECRET, recorded={'by': SECRET}, runs=(replace(RUN, name=SECRET),))
    assert leaks_of(cassette, REDACTOR, text=SECRET) == (
        Leak(kind=STAND_IN, run=STAND_IN, field='run'),
        Leak(kind=STAND_IN, field='test'),
        Leak(kind=STAND_IN, field='recorded.by'),
    )


def test_a_leak_says_where_it_is() -> None:
    assert str(Leak(kind='<secret:jwt>', run='agent', node='3 End', field='facts')) == (
        '<secret:jwt> in run agent  node 3 End  field facts'
    )
    assert str(Leak(kind='<secret:jwt>', field='line 2')) == '<secret:jwt> in field line 2'


@pytest.mark.parametrize(
    ('count', 'headline', 'last'),
    [
        (1, 'the cassette would hold a secret, so it is not written', '<secret:jwt> in field line 0'),
        (5, 'the cassette would hold 5 secrets, so it is not written', '<secret:jwt> in field line 4'),
        (7, 'the cassette would hold 7 secrets, so it is not written', 'and 2 more'),
    ],
)
def test_an_error_names_the_first_five_secrets_that_were_left(count: int, headline: str, last: str) -> None:
    leaks = tuple(Leak(kind='<secret:jwt>', field=f'line {number}') for number in range(count))
    error = SecretLeft(leaks, where=Where(cassette='a.json'), next=('Add a rule.',))
    assert (error.headline, error.expected, error.leaks) == (headline, 'stand-ins: <secret:jwt>', leaks)
    assert str(error.got).splitlines()[-1] == last
    assert len(str(error.got).splitlines()) == min(count, 6)


def test_the_text_of_an_error_is_redacted_in_place() -> None:
    error = ReplayError(
        f'no {SECRET}',
        expected=SECRET,
        got=SECRET,
        where=Where(cassette='a.json', run=SECRET, field=SECRET),
        details=(('live', SECRET),),
        next=(f'say {SECRET}',),
    )
    error.block = (SECRET,)
    assert redacted_error(error, REDACTOR) is error
    assert SECRET not in str(error)
    assert (error.headline, error.expected, error.got) == (f'no {STAND_IN}', STAND_IN, STAND_IN)
    assert (error.where.run, error.where.field, error.where.cassette) == (STAND_IN, STAND_IN, 'a.json')
    assert (error.details, error.block, error.next) == ((('live', STAND_IN),), (STAND_IN,), (f'say {STAND_IN}',))
    assert error.args == (f'no {STAND_IN}',)


def test_an_error_that_says_little_has_little_to_redact() -> None:
    error = redacted_error(ReplayError('nothing there'), REDACTOR)
    assert (error.headline, error.expected, error.got, error.where.run) == ('nothing there', None, None, None)
