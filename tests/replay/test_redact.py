"""Rules, fields and variables: what is redacted, and what is left alone."""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import cast

import pytest

from replay.canon import Json, dumps
from replay.errors import ReplayError
from replay.redact import Redactor, UserRule, has_stand_in, named, parse_rules
from replay.redact_rules import FORMATS
from tests.helpers import CORPUS_ABSENT, corpus
from tests.replay.secrets_planted import SECRETS, heart

AROUND: dict[str, Callable[[str], str]] = {
    'alone': lambda secret: secret,
    'in prose': lambda secret: f'Use {secret} for this, please.',
    'quoted': lambda secret: f'key="{secret}"',
    'in JSON in text': lambda secret: json.dumps({'note': f'first\n{secret}'}),
    'on a line of its own': lambda secret: f'one\n{secret}\ntwo',
}


@pytest.mark.parametrize('around', AROUND)
@pytest.mark.parametrize('name', SECRETS)
def test_a_key_of_a_known_format_becomes_its_stand_in(name: str, around: str):
    text = AROUND[around](SECRETS[name])
    redacted = Redactor().text(text)
    assert heart(SECRETS[name]) not in redacted
    assert f'<secret:{name.split(maxsplit=1)[0]}>' in redacted
    assert Redactor().text(redacted) == redacted
    if around == 'in JSON in text':
        json.loads(redacted)


@pytest.mark.parametrize('name', SECRETS)
def test_what_is_found_in_text_is_found_in_bytes_values_and_keys(name: str):
    value: Json = {'a': [{'b': SECRETS[name]}, 1, None], SECRETS[name]: 2}
    redactor = Redactor()
    redacted = redactor.json(value)
    assert heart(SECRETS[name]) not in dumps(redacted).decode()
    assert redactor.data(dumps(value)) == dumps(redacted)
    assert len(list(redactor.fields(value, 'x'))) == 2
    assert list(redactor.fields(redacted, 'x')) == []


@pytest.mark.parametrize('text', ['\ud800 {}', '{} \ud800', '\u212a\u0130 {}'])
def test_a_key_is_found_beside_characters_that_are_half_or_fold_to_others(text: str):
    redacted = Redactor().text(text.format(SECRETS['openai-key']))
    assert redacted == text.format('<secret:openai-key>')


def test_every_format_has_a_secret_that_proves_it():
    assert {name.split()[0] for name in SECRETS} == {rule.name for rule in FORMATS}
    assert len(FORMATS) >= 40


@pytest.mark.parametrize(
    'text',
    [
        'task-0123456789abcdefghij',
        'the risk-adjusted-return-of-2024 portfolio',
        'sk-learn-compatible-estimators',
        'Bearer of good news, authentication follows',
        'Bearer authentication',
        'password: at least 8 characters',
        'The api_key: str argument',
        'https://example.com:8080/a@b',
        'see https://example.com/@user',
        'postgres://app:${PASSWORD}@db/app',
        '{"max_tokens": 12, "token": "ETH", "next_page_token": "CAUQAA123456789"}',
        '{"properties": {"password": {"type": "string"}}, "required": ["password"]}',
        '{"password": "string"}',
        'call_q2UyBRaB3dE5gH7jK9mN1pQ2',
        'chatcmpl-C2QD1kaB3dE5gH7jK9mN1pQ2',
        'resp_0f1e2d3c4b5a69788796a5b4c3d2e1f0',
        'msg_01XFDUDYJgAACzvnptvVoYEL',
        'eyJhbGciOiJIUzI1NiJ9',
        '-----BEGIN PUBLIC KEY-----',
        '5f0c9a52-7d1e-4b7e-9c55-0b6a4f6f2c11',
    ],
)
def test_ordinary_text_is_left_alone(text: str):
    redactor = Redactor()
    assert redactor.text(text) is text
    assert redactor.data(dumps(text)) == dumps(text)


@pytest.mark.skipif(not corpus(), reason=CORPUS_ABSENT)
def test_no_recorded_history_of_a_provider_has_anything_to_redact():
    redactor = Redactor()
    found = [
        (line['id'], place)
        for line in corpus()
        for place in redactor.fields(json.loads(line['all_messages_json']), 'messages')
    ]
    assert found == []


@pytest.mark.parametrize(
    'field',
    [
        'authorization',
        'Authorization',
        'x-api-key',
        'apiKey',
        'OPENAI_API_KEY',
        'password',
        'clientSecret',
        'Set-Cookie',
    ],
)
def test_texts_of_fields_that_hold_secrets_become_stand_ins(field: str):
    value: Json = {field: 'hunter2', 'other': 'hunter2', 'deep': [{field: ['hunter2', 7]}]}
    stand_in = f'<secret:{field.lower().replace("-", "_")}>'
    expected: Json = {field: stand_in, 'other': 'hunter2', 'deep': [{field: [stand_in, 7]}]}
    redactor = Redactor()
    assert redactor.json(value) == expected
    assert redactor.json(expected) is expected
    assert redactor.text(json.dumps({field: 'hunter2 "x"'})) == json.dumps({field: stand_in})
    assert json.loads(redactor.text(json.dumps(json.dumps({field: 'hunter2'})))) == json.dumps({field: stand_in})


@pytest.mark.parametrize(
    ('value', 'redacted'),
    [('Zx81kq92Lm44', True), ('ETH', False), ('extraordinarily', False), ('a word and 1 number', False), ('', False)],
)
def test_a_token_or_secret_is_one_only_if_it_looks_random(value: str, *, redacted: bool):
    assert (Redactor().json({'token': value}) != {'token': value}) is redacted


def test_fields_that_are_no_text_are_left_alone():
    value: Json = {'password': None, 'token': 17, 'api_key': True, 'secret': {'a': 'b'}, 'cookie': []}
    assert Redactor().json(value) is value


@pytest.mark.parametrize(
    ('name', 'value', 'redacted'),
    [
        ('MY_SERVICE_API_KEY', 'plain words here', True),
        ('GH_TOKEN', 'zebra-crossing', True),
        ('DB_PASSWORD', 'correct horse', True),
        ('app_secret', 'nothing-special', True),
        ('DATABASE_URL', 'server=a;uid=b;pw=c', True),
        ('STRIPE_SECRET_KEY_TEST', 'nothing-special', True),
        ('GH_TOKEN', 'short', False),
        ('DB_PASSWORD', 'postgres', False),
        ('DB_PASSWORD', 'aaaaaaaaaaaa', False),
        ('MAX_TOKENS', '1000000000', False),
        ('TOKENIZERS_PARALLELISM', 'undecided-about', False),
        ('HOME', '/home/somebody', False),
        ('MONKEY', 'plain words here', False),
    ],
)
def test_values_of_variables_that_hold_secrets_by_name_become_stand_ins(name: str, value: str, *, redacted: bool):
    redactor = Redactor({name: value})
    assert redactor.text(f'<{value}>') == (f'<<secret:env {name}>>' if redacted else f'<{value}>')


def test_a_value_of_a_variable_is_found_in_every_spelling():
    value = 'pa"ss\\wörd/1 2'
    redactor = Redactor({'APP_PASSWORD': value})
    in_url, in_form = 'pa%22ss%5Cw%C3%B6rd/1%202', 'pa%22ss%5Cw%C3%B6rd%2F1+2'
    for text in (value, json.dumps(value, ensure_ascii=False)[1:-1], in_url, in_form, f'x{value}y'):
        assert '<secret:env APP_PASSWORD>' in redactor.text(text)
    assert redactor.data(dumps({'a': value})) == dumps({'a': '<secret:env APP_PASSWORD>'})


@pytest.mark.parametrize('around', ['', 'u:', 'me:', 'you:'])
@pytest.mark.parametrize('encode', [b64encode, urlsafe_b64encode])
def test_a_value_of_a_variable_is_found_in_base64_wherever_it_stands(encode: Callable[[bytes], bytes], around: str):
    value = 'plain??words>>of one kind'
    text = encode(f'{around}{value}{around}'.encode()).decode()
    redacted = Redactor({'APP_PASSWORD': value}).text(f'Basic {text}')
    assert '<secret:env APP_PASSWORD>' in redacted
    left = redacted.removeprefix('Basic ').replace('<secret:env APP_PASSWORD>', '')
    assert len(left) <= len(text) - len(value) * 4 // 3 + 2  # what tells less than one character of it


def test_a_file_that_holds_the_value_of_a_variable_becomes_one_that_holds_the_stand_in():
    redactor = Redactor({'APP_PASSWORD': 'plain words'})
    held = b64encode(b'export APP_PASSWORD="plain words"').decode()
    file: Json = {'kind': 'binary', 'media_type': 'text/plain', 'data': held}
    redacted = cast('dict[str, str]', redactor.json(file))
    assert b64decode(redacted['data']) == b'<secret:env APP_PASSWORD>'
    assert redactor.json(cast('Json', redacted)) is redacted
    assert has_stand_in(redacted['data'])
    assert list(redactor.fields(file, 'content')) == [('content.data', '<secret:env APP_PASSWORD>')]
    other: Json = {**file, 'data': b64encode(b'nothing in it').decode()}
    assert cast('list[Json]', redactor.json([other, 'plain words']))[0] is other


def test_a_variable_names_its_value_whatever_format_that_has():
    key = SECRETS['openai-key']
    assert Redactor({'OPENAI_API_KEY': key}).text(f'a {key}') == 'a <secret:env OPENAI_API_KEY>'
    both = Redactor({'B_TOKEN': 'one-and-the-same', 'A_TOKEN': 'one-and-the-same'})
    assert both.text('one-and-the-same') == '<secret:env A_TOKEN>'


def test_the_longer_of_two_values_goes_first():
    redactor = Redactor({'A_TOKEN': 'abcdefgh', 'B_TOKEN': 'abcdefgh-ijkl'})
    assert redactor.text('abcdefgh-ijkl abcdefgh') == '<secret:env B_TOKEN> <secret:env A_TOKEN>'


def test_variables_are_learnt_and_not_forgotten():
    redactor = Redactor({'A_TOKEN': 'first-value'})
    redactor.learn({'A_TOKEN': 'second-value'})
    redactor.learn({})
    assert redactor.text('first-value second-value') == '<secret:env A_TOKEN> <secret:env A_TOKEN>'
    assert redactor.data(b'["second-value"]') == b'["<secret:env A_TOKEN>"]'


def test_two_keys_of_an_object_that_become_one_stay_two():
    value: Json = {SECRETS['github-token']: 1, SECRETS['github-token fine-grained']: 2}
    assert Redactor().json(value) == {'<secret:github-token>': 1, '<secret:github-token>#2': 2}


def test_what_holds_no_secret_is_the_same_object():
    value: Json = {'a': ['b', {'c': 1.5}], 'd': None}
    data = dumps(value)
    redactor = Redactor(rules=[('never', 'zzz'), lambda text: text])
    assert redactor.json(value) is value
    assert redactor.data(data) is data
    assert redactor.data(data) is data


def test_rules_of_the_user_are_patterns_with_a_group_and_functions():
    def without_bob(text: str) -> str:
        return text.replace('Bob', 'X')

    rules: list[UserRule] = [('ticket', 'TICKET-[0-9]+'), ('pin', 'PIN (?P<secret>[0-9]{4})?'), without_bob]
    redactor = Redactor(rules=rules)
    assert redactor.text('TICKET-17 for Bob, PIN 1234, PIN ?') == '<secret:ticket> for X, PIN <secret:pin>, PIN ?'
    assert list(redactor.fields({'a': 'Bob'}, 'it')) == [('it.a', 'what a rule of yours replaces')]


def test_rules_do_not_touch_stand_ins():
    redactor = Redactor({'A_TOKEN': 'secret-env'}, rules=[('word', '[a-z]+')])
    once = redactor.text('secret-env 12 abc')
    assert redactor.text(once) == once == '<secret:env A_TOKEN> 12 <secret:word>'


def test_lines_of_the_ini_are_read_as_rules():
    rules = parse_rules(['ticket = TICKET-[0-9]+', '', '  pin=PIN=[0-9]+  '])
    assert rules == [('ticket', 'TICKET-[0-9]+'), ('pin', 'PIN=[0-9]+')]


@pytest.mark.parametrize(
    ('line', 'why'),
    [
        ('ticket', '\'ticket\' has no "="'),
        ('ticket = [', 'no regular expression: unterminated character set'),
        ('a b = c', "'a b' cannot name a rule"),
        ('= c', "'' cannot name a rule"),
        ('all = .*', 'matches nothing at all'),
    ],
)
def test_a_rule_that_is_none_is_refused(line: str, why: str):
    with pytest.raises(ReplayError, match='redact: ') as caught:
        parse_rules([line])
    assert why in caught.value.headline


@pytest.mark.parametrize('rule', [7, ('a',), ('a', 7), None])
def test_what_is_no_rule_is_refused(rule: object):
    with pytest.raises(ReplayError, match='is no rule'):
        Redactor(rules=[rule])  # pyright: ignore[reportArgumentType]


def test_a_function_that_gives_no_text_is_named():
    def forgets(text: str) -> str:
        return None  # pyright: ignore[reportReturnType]

    with pytest.raises(ReplayError, match=r'forgets.* gave NoneType'):
        Redactor(rules=[forgets]).text('a')


def test_lines_of_a_written_text_are_named():
    text = f'one\ntwo {SECRETS["jwt"]}\nthree'
    assert list(Redactor().lines(text)) == [(2, '<secret:jwt>')]
    assert list(Redactor().lines('one')) == []


def test_stand_ins_are_known_and_named():
    assert has_stand_in('a <secret:jwt> b')
    assert not has_stand_in('a <secret: b')
    assert named('<secret:jwt> <secret:jwt>', '<secret:jwt> x') == '<secret:jwt>'


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ('it is hunt', (6, '<secret:env DOOR_PASSWORD>')),
        ('it is hunter-7-elephant', None),
        ('hunter-7-elephan', (0, '<secret:env DOOR_PASSWORD>')),
        ('it is hun', None),
    ],
)
def test_a_text_that_ends_inside_of_a_known_value_is_found(text: str, found: tuple[int, str] | None):
    assert Redactor({'DOOR_PASSWORD': 'hunter-7-elephant'}).unfinished(text) == found


def test_a_value_that_is_a_text_is_redacted_like_any_text():
    assert Redactor().json(f'Use {SECRETS["jwt"]}') == 'Use <secret:jwt>'


def test_a_value_is_cleared_by_one_look_if_it_holds_no_secret():
    assert Redactor().clears({'note': 'nothing here'})
    assert not Redactor().clears({'note': SECRETS['jwt']})


def test_only_the_places_that_hold_a_secret_are_named():
    value: Json = {'a': 'harmless', 'b': [SECRETS['jwt'], 'harmless']}
    assert list(Redactor().fields(value, 'x')) == [('x.b[0]', '<secret:jwt>')]


def test_a_field_in_json_in_json_that_holds_no_secret_is_left_alone():
    inner = json.dumps({'token': 'ETH', 'password': 'hunter-7-elephant'})
    redacted = Redactor().text(json.dumps({'body': inner}))
    assert json.loads(json.loads(redacted)['body']) == {'token': 'ETH', 'password': '<secret:password>'}
