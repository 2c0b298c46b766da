"""The store when the disk says no, at every single system call: what was there stays, or what is new is there whole."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from replay.cassette import Cassette, Node, Run
from replay.codec import dumps
from replay.errors import ReplayError, StoreFailed
from replay.store import Store
from tests.replay.faults import ERRORS, Faults

OLD = Cassette(test='old', runs=(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'),)),))
NEW = Cassette(test='new', runs=(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'), Node(kind='End'))),))

Operation = Callable[[Store], object]


def write(store: Store) -> object:
    return store.write('deep/a', NEW)


def write_pending(store: Store) -> object:
    return store.write('deep/a', NEW, pending=True)


def accept(store: Store) -> object:
    return store.accept('deep/a')


def reject(store: Store) -> object:
    return store.reject('deep/a')


def read(store: Store) -> object:
    return store.read('deep/a')


# What is done, what is there before, and which kinds of fault must not be seen at all.
OPERATIONS: dict[str, tuple[Operation, tuple[bool, bool]]] = {
    'write the first': (write, (False, False)),
    'write anew': (write, (True, False)),
    'write pending': (write_pending, (True, True)),
    'accept': (accept, (True, True)),
    'reject': (reject, (True, True)),
    'read': (read, (True, False)),
}


def prepared(folder: Path, *, old: bool, pending: bool) -> Store:
    store = Store(folder / 'cassettes')
    if old:
        store.write('deep/a', OLD)
    if pending:
        store.write('deep/a', NEW, pending=True)
    return store


def check(store: Store, *, old: bool) -> None:
    """What is there is whole, and the next recording works and leaves nothing else behind."""
    if old or store.exists('deep/a'):
        assert store.read('deep/a') in (OLD, NEW)
    if store.exists('deep/a', pending=True):
        assert store.read('deep/a', pending=True) == NEW
    assert set(store.names()) <= {'deep/a.json'}
    store.write('deep/a', OLD)
    store.write('deep/a', NEW)
    assert store.read('deep/a') == NEW
    assert store.names() == ['deep/a.json']
    left = {path.name for path in store.path('deep/a').parent.iterdir()} - {'a.json', 'a.json.new'}
    assert not left


def calls_of(folder: Path, operation: str) -> list[str]:
    do, (old, pending) = OPERATIONS[operation]
    store = prepared(folder, old=old, pending=pending)
    with Faults(store.folder).installed() as faults:
        do(store)
    return faults.called


@pytest.mark.parametrize('kind', [*ERRORS, 'torn', 'short', 'interrupt'])
@pytest.mark.parametrize('operation', OPERATIONS)
def test_a_fault_at_any_call_leaves_the_old_cassette_or_the_new_one(tmp_path: Path, operation: str, kind: str):
    do, (old, pending) = OPERATIONS[operation]
    number = len(calls_of(tmp_path / 'count', operation))
    assert number > 3
    for at in range(1, number + 1):
        store = prepared(tmp_path / str(at), old=old, pending=pending)
        caught: list[ReplayError | KeyboardInterrupt] = []
        with Faults(store.folder, at=at, kind=kind).installed():
            try:
                do(store)
            except (ReplayError, KeyboardInterrupt) as error:
                caught.append(error)
        assert all(isinstance(error, KeyboardInterrupt) or error.where.cassette for error in caught)
        assert not (caught and kind == 'short')
        check(store, old=old)


def test_a_first_write_makes_each_call_that_lets_it_last(tmp_path: Path):
    called = calls_of(tmp_path, 'write the first')
    after_data = called[called.index('write') :]
    assert after_data.index('fsync') < after_data.index('replace')
    assert 'fsync' in after_data[after_data.index('replace') :]


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.replay.test_faults import OPERATIONS, Faults, Store
store = Store(Path({folder!r}))
with Faults(store.folder, at={at}, kind={kind!r}).installed():
    OPERATIONS[{operation!r}][0](store)
"""


def killed(folder: Path, *, operation: str, at: int, kind: str) -> int:
    code = CHILD.format(
        path=[str(Path(__file__).parents[2])], folder=str(folder), at=at, kind=kind, operation=operation
    )
    return subprocess.run([sys.executable, '-c', code], check=False, timeout=60).returncode


def all_kills(folder: Path) -> list[tuple[str, int, str]]:
    return [
        (operation, at, kind)
        for operation in OPERATIONS
        for at in range(1, len(calls_of(folder / operation, operation)) + 1)
        for kind in ('kill', 'killed')
    ]


def test_a_process_killed_at_any_call_leaves_the_old_cassette_or_the_new_one(tmp_path: Path):
    kills = all_kills(tmp_path / 'count')
    if os.environ.get('HYPOTHESIS_PROFILE') != 'nightly':
        kills = random.Random(1).sample(kills, 6)
    for number, (operation, at, kind) in enumerate(kills):
        _, (old, pending) = OPERATIONS[operation]
        store = prepared(tmp_path / str(number), old=old, pending=pending)
        assert killed(store.folder, operation=operation, at=at, kind=kind) == -signal.SIGKILL
        check(store, old=old)


REAL = """
import os, sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.replay.test_faults import NEW, Store, StoreFailed, limited, unprivileged
{before}
try:
    Store(Path({folder!r})).write('deep/a', NEW, pending={pending})
except StoreFailed as error:
    print(error.headline)
else:
    print('written')
"""


def unprivileged() -> None:
    """Become somebody who may not write everywhere, once all that is needed is loaded."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def limited(size: int) -> None:
    """Let the system take no more than so many bytes of a file: it writes a part, then says no."""
    resource = pytest.importorskip('resource', reason='limits of processes are a thing of POSIX')
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def written_by_child(folder: Path, *, before: str, pending: bool = False) -> str:
    code = REAL.format(path=[str(Path(__file__).parents[2])], folder=str(folder), before=before, pending=pending)
    done = subprocess.run(
        [sys.executable, '-c', code], check=False, timeout=60, capture_output=True, text=True, cwd=folder
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.skipif(sys.platform == 'win32', reason='rights of users are a thing of POSIX')
def test_a_folder_that_is_read_only_is_told(tmp_path: Path):
    with TemporaryDirectory() as open_to_all:  # that of pytest is nobody else's
        Path(open_to_all).chmod(0o755)
        store = prepared(Path(open_to_all), old=True, pending=False)
        folder = store.path('deep/a').parent
        folder.chmod(0o555)
        for pending in (False, True):
            said = written_by_child(store.folder, before='unprivileged()', pending=pending)
            assert 'could not be written: Permission denied' in said
        folder.chmod(0o755)
        check(store, old=True)


@pytest.mark.skipif(sys.platform == 'win32', reason='limits of processes are a thing of POSIX')
@pytest.mark.parametrize('size', [0, 1, 100, 300])
def test_a_limit_of_what_a_file_may_hold_is_told_after_a_part_was_written(tmp_path: Path, size: int):
    assert len(dumps(NEW)) > 300
    store = prepared(tmp_path, old=True, pending=False)
    said = written_by_child(store.folder, before=f'limited({size})')
    assert 'could not be written: File too large' in said
    check(store, old=True)


@pytest.mark.skipif(not sys.platform.startswith('linux') or os.geteuid() != 0, reason='only root of Linux mounts')
def test_a_disk_that_is_full_is_told(tmp_path: Path):
    folder = tmp_path / 'disk'
    folder.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', str(folder)], check=False).returncode:
        pytest.skip('this process may not mount')
    try:
        store = prepared(folder, old=True, pending=False)
        fill = folder / 'fill'
        with pytest.raises(OSError, match='No space left'):
            fill.write_bytes(bytes(1 << 20))
        assert 'No space left on device' in written_by_child(store.folder, before='')
        assert store.read('deep/a') == OLD
        fill.unlink()
        check(store, old=True)
    finally:
        subprocess.run(['umount', str(folder)], check=True)


def test_what_is_unchanged_needs_no_right_to_write(tmp_path: Path):
    store = prepared(tmp_path, old=True, pending=False)
    with Faults(store.folder).installed() as faults:
        assert store.write('deep/a', OLD) is False
    assert not {'write', 'mkdir', 'replace', 'unlink', 'fsync'} & set(faults.called)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no device that is always full')
def test_a_device_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = prepared(tmp_path, old=True, pending=False)
    real = os.open

    def full(path: Path, *args: int) -> int:
        return real('/dev/full', os.O_WRONLY) if str(path).endswith('.tmp') else real(path, *args)

    monkeypatch.setattr(os, 'open', full)
    with pytest.raises(StoreFailed, match='No space left on device'):
        store.write('deep/a', NEW)
    monkeypatch.undo()
    check(store, old=True)


def test_a_recording_writes_what_its_text_says(tmp_path: Path):
    store = prepared(tmp_path, old=True, pending=False)
    store.write('deep/a', NEW)
    assert store.path('deep/a').read_text() == dumps(NEW)
