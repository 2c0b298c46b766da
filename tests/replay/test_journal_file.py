"""The lock on a cassette, with real processes."""

import subprocess
import sys
from pathlib import Path
from threading import Thread, Timer

import pytest

from replay.errors import StoreFailed
from replay.journal_file import give_back, hold, take
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
        with (
            pytest.raises(StoreFailed, match='another process or thread has been recording it'),
            hold(path, patience=0.1),
        ):
            pass
        assert process.stdin is not None
        later = Timer(0.1, process.stdin.close)
        later.start()
        file, waited = take(path, recorder=1)
        assert (waited, file.read()) == (True, b'')
        give_back(file, recorded=True)
        later.join()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_blocks_nobody_and_leaves_its_journal(tmp_path: Path):
    path = tmp_path / 'a.json'
    with holder(path) as process:
        process.kill()
        process.communicate()
    file, waited = take(path, recorder=1, patience=0.0)
    assert (waited, file.read()) == (False, b'first\n')
    give_back(file, recorded=True)
    assert [one.name for one in tmp_path.iterdir()] == ['a.json.journal']


def test_a_cassette_held_twice_in_one_process_is_held_until_both_are_done(tmp_path: Path):
    path = tmp_path / 'a.json'
    with hold(path) as outer:
        with hold(path) as inner:
            assert inner is outer
        assert outer.path.exists()
    assert not outer.path.exists()


def test_a_recording_waits_for_the_one_of_another_thread(tmp_path: Path):
    path = tmp_path / 'a.json'
    first, _ = take(path, recorder=1)
    with pytest.raises(StoreFailed, match='another process or thread has been recording it'):
        take(path, recorder=2, patience=0.1)
    Timer(0.1, give_back, (first,), {'recorded': True}).start()
    second, waited = take(path, recorder=2)
    assert waited
    give_back(second, recorded=True)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_does_not_wait_for_one_of_its_own_thread(tmp_path: Path):
    path = tmp_path / 'a.json'
    first, _ = take(path, recorder=1)
    with pytest.raises(StoreFailed, match='by another session of this thread'):
        take(path, recorder=1)
    with hold(path) as file:  # to be changed, as a session does at its end
        assert file is first
    give_back(first, recorded=True)
    assert list(tmp_path.iterdir()) == []


def test_a_thread_that_waits_for_one_cassette_keeps_no_other_thread_from_another(tmp_path: Path):
    first, _ = take(tmp_path / 'a.json', recorder=1)
    waits = Thread(target=lambda: give_back(take(tmp_path / 'a.json', recorder=2)[0], recorded=True))
    waits.start()
    with hold(tmp_path / 'b.json', patience=0.0):
        assert waits.is_alive()
    give_back(first, recorded=True)
    waits.join()


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
