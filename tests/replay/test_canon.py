"""Canonical JSON."""

import json

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay import canon
from replay.canon import CanonError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values)
def test_a_value_comes_back_from_its_bytes(value: canon.Json):
    assert canon.dumps(canon.loads(canon.dumps(value))) == canon.dumps(value)


@given(values)
def test_the_spaced_form_differs_in_spaces_only(value: canon.Json):
    assert pydantic_core.to_json(json.loads(canon.spaced(value))) == canon.dumps(value)


@given(st.lists(scalars))
def test_the_spaced_form_spells_each_scalar_as_if_it_stood_alone(values: list[canon.Json]):
    assert canon.spaced(values) == f'[{", ".join(map(canon.spaced, values))}]'
    assert [canon.spaced(value) for value in values] == [canon.dumps(value).decode() for value in values]


@pytest.mark.parametrize('value', [1e-7, 1e16, -0.0, 20.0, 0.00001, 10**30, True, None, 'a"\\\n\x1f\x7f\u2028é', ''])
def test_a_scalar_is_spelled_as_pydantic_spells_it(value: str | float | None):
    assert canon.scalar(value) == pydantic_core.to_json(value).decode()


def test_the_order_of_keys_is_kept():
    assert canon.dumps({'b': 1, 'a': 2}) == b'{"b":1,"a":2}'


def test_a_digest_depends_on_the_bytes_alone():
    assert canon.digest({'a': [1]}) == canon.digest({'a': [1]}) != canon.digest({'a': [1.0]})


def test_half_a_surrogate_pair_cannot_be_written():
    with pytest.raises(CanonError, match='cannot be written as JSON') as caught:
        canon.dumps('\ud800')
    assert caught.value.cause == 'syntax'


@pytest.mark.parametrize(
    ('text', 'cause', 'reason'),
    [
        ('', 'empty', 'no text'),
        (' \n', 'empty', 'no text'),
        ('{"a": [1', 'truncated', 'the text stops in the middle'),
        (b'{"a": "\xff"}', 'binary', 'no UTF-8 text: byte 0xff at offset 7'),
        ('{"a": 1, "a": 2}', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('[{"b": {"a": 1, "c": 0, "a": 2}}]', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('{"a": 1, "\\u0061": 2}', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('{"a" : 1, "b": "\\":", "a": ":"}', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('{"a": {"b": 1}, "a"\n:": "}', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('{"a": 1, "a": 2, "b": "\\u0022:"}', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('{"a": 1, "a": 2, "b": "\\u003a"}', 'duplicate-key', 'the key "a" stands twice in one object'),
        ('[NaN]', 'syntax', 'expected value'),
        ('[Infinity]', 'syntax', 'expected value'),
        ('[-Infinity]', 'number', 'invalid number'),
        ('[1e999]', 'number', 'a number too large for a float'),
        ('{"a": {"b": -1E+999}}', 'number', 'a number too large for a float'),
        ('[01]', 'number', 'invalid number'),
        ('1' * 5000, 'number', 'number out of range'),
        ('"\\ud800"', 'syntax', ''),
        ('"\\udc00"', 'syntax', ''),
        ('\ufeff[]', 'syntax', 'expected value'),
        ('[1,]', 'syntax', 'trailing comma'),
        ('"\x01"', 'syntax', 'control character'),
        ('[] []', 'syntax', 'trailing characters'),
        ('[' * 202 + ']' * 202, 'too-deep', 'nested deeper than 200 levels'),
        ('[' * 10_000_000, 'too-deep', 'nested deeper than 200 levels'),
        ('{"a":' * 1_000_000, 'too-deep', 'nested deeper than 200 levels'),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_strict_json_is_refused_by_cause(text: str | bytes, cause: str, reason: str):
    with pytest.raises(CanonError) as caught:
        canon.loads(text)
    assert (caught.value.cause, reason in caught.value.reason) == (cause, True)


def test_a_refusal_names_line_and_column():
    with pytest.raises(CanonError, match='expected value at line 2 column 3') as caught:
        canon.loads('[1,\n  x]')
    assert (caught.value.line, caught.value.column) == (2, 3)


@pytest.mark.parametrize('text', ['"1e999"', '[1e-999, "x1e999"]', '1e300', '[{"a": 1E200}]'])
def test_what_only_looks_like_too_large_a_number_is_read(text: str):
    assert canon.loads(text) == json.loads(text)


@pytest.mark.parametrize('text', ['{"a": "Infinity"}', '{"a" : ":"}', '{"a": "\\u003a"}', '{":": "\\": :"}'])
def test_what_only_looks_like_a_key_or_an_infinity_is_read(text: str):
    assert canon.loads(text) == json.loads(text)


@given(st.lists(st.tuples(st.sampled_from(['a', 'b', ':', '"', 'c:']), values), max_size=4), st.booleans())
def test_a_key_that_stands_twice_is_found_whatever_stands_beside_it(pairs: list[tuple[str, canon.Json]], escaped: bool):
    text = ', '.join(f'{json.dumps(key)}: {json.dumps(value, ensure_ascii=escaped)}' for key, value in pairs)
    if len({key for key, _ in pairs}) == len(pairs):
        assert canon.loads(f'{{{text}}}') == dict(pairs)
        return
    with pytest.raises(CanonError, match='stands twice'):
        canon.loads(f'{{{text}}}')


def test_a_text_as_deep_as_the_limit_is_read():
    assert canon.dumps(canon.loads('[' * canon.MAX_DEPTH + ']' * canon.MAX_DEPTH)) == b'[' * 200 + b']' * 200


def test_what_was_written_a_moment_ago_is_read_without_checks():
    assert canon.own(b'{"a":[1,2.0]}') == {'a': [1, 2.0]}
