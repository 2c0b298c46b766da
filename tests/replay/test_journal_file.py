"""The lock on a cassette, with real processes."""

import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from replay.errors import StoreFailed
from replay.journal_file import hold
from replay.store import Store

ROOT = str(Path(__file__).parents[2])

HOLD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from replay.journal_file import hold
with hold(Path({path!r})) as file:
    file.append(b'first\\n', last=True)
    print('held', flush=True)
    sys.stdin.readline()
    file.cut(0)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    code = HOLD.format(root=ROOT, path=str(path))
    process = subprocess.Popen([sys.executable, '-c', code], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == 'held\n'
    return process


def test_a_second_process_waits_for_the_first(tmp_path: Path):
    path = tmp_path / 'deep/a.json'
    with holder(path) as process:
        with pytest.raises(StoreFailed, match='another process has been recording it'), hold(path, patience=0.1):
            pass
        assert process.stdin is not None
        later = Timer(0.1, process.stdin.close)
        later.start()
        with hold(path) as file:
            assert (file.waited, file.read()) == (True, b'')
        later.join()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_blocks_nobody_and_leaves_its_journal(tmp_path: Path):
    path = tmp_path / 'a.json'
    with holder(path) as process:
        process.kill()
        process.communicate()
    with hold(path, patience=0.0) as file:
        assert (file.waited, file.read()) == (False, b'first\n')
    assert [one.name for one in tmp_path.iterdir()] == ['a.json.journal']


def test_a_cassette_held_twice_in_one_process_is_held_until_both_are_done(tmp_path: Path):
    path = tmp_path / 'a.json'
    with hold(path) as outer:
        with hold(path) as inner:
            assert inner is outer
        assert outer.path.exists()
    assert not outer.path.exists()


WRITE = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from replay.store import Store
from replay.cassette import Cassette, Node, Run
store = Store(Path({folder!r}))
nodes = tuple(Node(kind='UserPromptNode') for _ in range(30))
for number in range(40):
    store.write('a', Cassette(test='{which} %d' % number, runs=(Run(name='a', agent='a', nodes=nodes),)))
    store.read('a')
"""


def test_processes_that_write_at_once_never_mix_their_texts(tmp_path: Path):
    codes = [WRITE.format(root=ROOT, folder=str(tmp_path / 'c'), which=which) for which in ('one', 'two', 'three')]
    processes = [subprocess.Popen([sys.executable, '-c', code]) for code in codes]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert str(Store(tmp_path / 'c').read('a').test).endswith(' 39')
    assert [one.name for one in (tmp_path / 'c').iterdir()] == ['a.json']
