"""Cassettes cut at every byte and changed at random, sealed anew or not: refused, or read as what they say."""

import os
import subprocess
from collections import Counter
from pathlib import Path
from random import Random
from time import perf_counter

import pytest

from replay.codec import dumps, loads, seal_of
from replay.errors import CassetteDamaged, ReplayError

EXAMPLES = sorted((Path(__file__).parents[2] / 'cassettes').rglob('*.json'))
NUMBER = 10_000 if os.environ.get('HYPOTHESIS_PROFILE') == 'nightly' else 200
PIECES = [
    *(b'"', b'{', b'}', b'[', b']', b',', b'\\', b'\x00', b'\xff'),
    *(b'null', b'1e999', b'-0', b'\n', b'{}', b'\\ud800'),
]


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_a_cassette_cut_at_any_byte_is_refused(path: Path):
    data = path.read_bytes()
    for size in range(len(data) - 1):  # all but the last newline
        with pytest.raises(CassetteDamaged):
            loads(data[:size], name='a')


def mutated(data: bytes, random: Random) -> bytes:
    for _ in range(random.choice([1, 1, 2, 4, 16])):
        at, length = random.randrange(len(data)), random.choice([1, 1, 2, 8, 64])
        kind = random.randrange(5)
        if kind == 0:
            data = data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + length :]
        elif kind == 2:
            other = random.randrange(len(data))
            data = data[:at] + data[other : other + length] + data[at:]
        else:
            data = data[:at] + random.choice(PIECES) + data[at + (kind == 3) :]
    return data


def sealed(data: bytes) -> bytes:
    """The same with a seal that fits, where there still is a line of a seal."""
    text = data.decode('utf-8', 'surrogateescape')
    body, line, rest = text.rpartition('  "seal": "')
    seal = seal_of(body) if line else ''
    return (body + line + seal + rest[32:] if line else text).encode('utf-8', 'surrogateescape')


@pytest.mark.parametrize('again', [False, True], ids=['as it is', 'sealed again'])
def test_a_changed_cassette_is_refused_or_says_what_it_holds(again: bool):
    random = Random(7)
    counts = Counter[str]()
    for _ in range(NUMBER // 2):
        original = random.choice(EXAMPLES).read_bytes()
        data = mutated(original, random)
        begun = perf_counter()
        try:
            found = loads(sealed(data) if again else data, name='a')
            text = dumps(found)
        except ReplayError as error:
            counts[getattr(error, 'cause', type(error).__name__)] += 1
        else:
            counts['read'] += 1
            assert loads(text, name='a') == found
            assert again or found == loads(original, name='a')
        assert perf_counter() - begun < 5
    print(dict(counts))
    assert not counts['NotRestorable']
    assert counts['read'] < NUMBER // 4 if again else counts['read'] <= NUMBER // 50


def test_two_branches_that_change_a_cassette_always_conflict_and_the_merge_is_refused(tmp_path: Path):
    def git(*args: str) -> int:
        who = ('-c', 'user.name=a', '-c', 'user.email=a@example.org')
        return subprocess.run(['git', '-C', str(tmp_path), *who, *args], check=False, capture_output=True).returncode

    def commit(text: str) -> None:
        path.write_bytes(text.encode())
        assert git('add', '.') == git('commit', '-m', 'x') == 0

    path = tmp_path / 'a.json'
    text = EXAMPLES[0].read_text(encoding='utf-8')
    lines = [at for at, line in enumerate(text.splitlines()) if '"content"' in line]
    assert git('init', '-b', 'main') == 0
    commit(text)

    def changed(at: int) -> str:
        new = text.splitlines(keepends=True)
        new[at] = new[at].replace('"content": "', '"content": "Well: ', 1)
        return sealed(''.join(new).encode()).decode()

    assert git('checkout', '-b', 'other') == 0
    commit(changed(lines[0]))
    assert git('checkout', 'main') == 0
    commit(changed(lines[-1]))
    assert git('merge', 'other') == 1
    with pytest.raises(CassetteDamaged) as caught:
        loads(path.read_bytes(), name='a.json')
    assert caught.value.cause == 'conflict'
    assert caught.value.next


def test_a_checkout_with_other_line_ends_still_holds():
    for path in EXAMPLES:
        data = path.read_bytes()
        assert loads(data.replace(b'\n', b'\r\n'), name='a') == loads(data, name='a')
