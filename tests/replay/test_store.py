"""Cassettes on the disk."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replay.cassette import Cassette, Node, Raised, Run
from replay.codec import Limits, dumps
from replay.errors import CassetteDamaged, CassetteNotFound, NameRefused, NotRestorable, ReplayError, StoreFailed
from replay.store import Store, read_bytes, write_bytes
from tests.replay.wire import answered, call

ONE = Cassette(test='one', runs=(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'),)),))
OTHER = replace(ONE, test='other')


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / 'cassettes')


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_what_is_written_is_read_again(store: Store):
    assert store.write('trips/paris', ONE) is True
    assert store.read('trips/paris') == ONE
    assert files(store.folder) == {'trips/paris.json': dumps(ONE).encode()}


def test_nothing_is_written_if_only_the_date_of_recording_differs(store: Store):
    store.write('a', replace(ONE, recorded={'on': '2026-11-20'}))
    before = (store.path('a').stat().st_mtime_ns, files(store.folder))
    assert store.write('a', replace(ONE, recorded={'on': '2026-11-21'})) is False
    assert (store.path('a').stat().st_mtime_ns, files(store.folder)) == before


def test_a_converted_checkout_counts_as_unchanged(store: Store):
    store.write('a', ONE)
    store.path('a').write_bytes(dumps(ONE).replace('\n', '\r\n').encode())
    assert store.write('a', ONE) is False


@pytest.mark.parametrize(
    ('first', 'then', 'written'), [((0, 1), (1, 0), False), ((0,), (1,), True), ((0, 1), (0,), True)]
)
def test_the_order_in_which_calls_of_a_failed_batch_ended_is_a_race_and_which_of_them_ended_is_not(
    store: Store, first: tuple[int, ...], then: tuple[int, ...], written: bool
):
    calls = [call(id='a'), call(id='b')]

    def failed(finished: tuple[int, ...]) -> Cassette:
        node = Node(
            kind='CallToolsNode', message=answered(*calls), finished=finished, raised=Raised(type='LookupError')
        )
        return replace(ONE, runs=(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'), node)),))

    store.write('a', failed(first))
    assert store.write('a', failed(then)) is written


def test_a_run_that_came_to_no_node_is_added_to_a_cassette_without_it(store: Store):
    store.write('a', ONE)
    more = replace(ONE, runs=(*ONE.runs, Run(name='late', agent='late')))
    assert store.write('a', more) is True
    assert store.read('a') == more


def test_a_damaged_file_is_replaced_by_a_recording(store: Store):
    write_bytes(store.path('a'), b'{')
    assert store.write('a', ONE) is True
    assert store.read('a') == ONE


def test_a_pending_recording_stands_beside_its_cassette(store: Store):
    store.write('a', ONE)
    assert store.write('a', OTHER, pending=True) is True
    assert (store.read('a'), store.read('a', pending=True)) == (ONE, OTHER)
    assert (store.names(), store.pending()) == (['a.json'], ['a.json'])
    assert (store.exists('a', pending=True), store.exists('b'), store.exists('a.json.new', pending=True)) == (
        True,
        False,
        True,
    )


def test_a_pending_recording_that_equals_the_cassette_is_none(store: Store):
    store.write('a', ONE)
    store.write('a', OTHER, pending=True)
    assert store.write('a', ONE, pending=True) is False
    assert store.write('a', ONE, pending=True) is False
    assert store.pending() == []


def test_accepting_puts_the_pending_recording_in_place(store: Store):
    store.write('a', ONE)
    store.write('a', OTHER, pending=True)
    store.accept('a')
    assert (store.read('a'), store.pending()) == (OTHER, [])


def test_rejecting_leaves_the_cassette(store: Store):
    store.write('a', ONE)
    store.write('a', OTHER, pending=True)
    store.reject('a')
    assert (store.read('a'), store.pending()) == (ONE, [])


def test_a_damaged_recording_is_not_accepted(store: Store):
    store.write('a', ONE)
    write_bytes(store.path('a', pending=True), b'{')
    before = files(store.folder)
    with pytest.raises(CassetteDamaged):
        store.accept('a')
    assert files(store.folder) == before


def read(store: Store) -> object:
    return store.read('a')


def read_pending(store: Store) -> object:
    return store.read('a', pending=True)


def accept(store: Store) -> object:
    return store.accept('a')


def reject(store: Store) -> object:
    return store.reject('a')


@pytest.mark.parametrize(
    ('call', 'headline'),
    [
        (read, 'no cassette'),
        (read_pending, 'no pending recording'),
        (accept, 'no pending recording'),
        (reject, 'no pending recording'),
    ],
)
def test_what_is_not_there_is_said_to_be_missing(store: Store, call: Callable[[Store], object], headline: str):
    with pytest.raises(CassetteNotFound) as caught:
        call(store)
    assert caught.value.headline == headline
    assert not store.folder.exists()


def test_listing_an_absent_folder_finds_nothing(store: Store):
    assert (store.names(), store.pending()) == ([], [])


def test_hidden_files_and_links_to_nowhere_are_not_listed(store: Store):
    store.write('b/a', ONE)
    write_bytes(store.folder / '.a.json.1-1.tmp', b'')
    write_bytes(store.folder / '.hidden.json', b'')
    (store.folder / 'lost.json').symlink_to('nowhere')
    assert store.names() == ['b/a.json']


def test_a_link_out_of_the_folder_is_refused(store: Store, tmp_path: Path):
    write_bytes(tmp_path / 'outside.json', b'kept')
    store.folder.mkdir()
    (store.folder / 'a.json').symlink_to(tmp_path / 'outside.json')
    (store.folder / 'up').symlink_to(tmp_path)
    for name in ('a', 'up/outside'):
        with pytest.raises(NameRefused, match='leads out of the folder of cassettes by a link'):
            store.write(name, ONE)
    assert (tmp_path / 'outside.json').read_bytes() == b'kept'


def test_a_loop_of_links_is_refused(store: Store):
    store.folder.mkdir()
    (store.folder / 'a.json').symlink_to('b.json')
    (store.folder / 'b.json').symlink_to('a.json')
    with pytest.raises(ReplayError):
        store.read('a')


def test_a_name_that_climbs_out_is_refused(store: Store):
    with pytest.raises(NameRefused):
        store.read('../a')


@pytest.mark.parametrize('step', ['fsync', 'replace', 'write'])
def test_a_disk_that_fails_leaves_the_file_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch, step: str):
    store.write('a', ONE)
    before = files(store.folder)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, 'No space left on device')

    if step == 'fsync':
        monkeypatch.setattr(os, 'fsync', fail)
    elif step == 'replace':
        monkeypatch.setattr(os, 'replace', fail)
    else:
        monkeypatch.setattr('replay.disk.write_new', fail)
    with pytest.raises(StoreFailed, match='could not be written: No space left on device'):
        store.write('a', OTHER)
    monkeypatch.undo()
    assert files(store.folder) == before


def test_a_folder_that_vanishes_meanwhile_is_told(store: Store, monkeypatch: pytest.MonkeyPatch):
    def vanish(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, 'No such file or directory')

    monkeypatch.setattr('replay.disk.write_new', vanish)
    with pytest.raises(StoreFailed, match='could not be written: No such file or directory'):
        store.write('a', ONE)


def test_an_interrupted_write_leaves_no_temporary_file(store: Store, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write('a', ONE)
    assert files(store.folder) == {}


def test_a_folder_in_the_place_of_a_cassette_is_refused(store: Store):
    store.path('a').mkdir(parents=True)
    with pytest.raises(StoreFailed, match=r'a\.json is no file') as caught:
        store.read('a')
    assert caught.value.got == 'a folder'
    with pytest.raises(StoreFailed):
        store.write('a', ONE)


def test_a_pipe_in_the_place_of_a_cassette_is_refused(store: Store):
    store.folder.mkdir()
    os.mkfifo(store.path('a'))
    with pytest.raises(StoreFailed) as caught:
        store.read('a')
    assert caught.value.got == 'a device or a pipe'


def test_a_file_in_the_place_of_a_folder_is_refused(store: Store):
    write_bytes(store.folder / 'a', b'')
    with pytest.raises(StoreFailed):
        store.write('a/b', ONE)


def test_a_null_byte_in_a_path_is_refused():
    with pytest.raises(StoreFailed, match='could not be read'):
        read_bytes('a\0b')


def test_a_file_over_the_limit_is_not_read_whole(store: Store):
    store.write('a', ONE)
    with pytest.raises(CassetteDamaged, match='too large') as caught:
        Store(store.folder, limits=Limits(size=10)).read('a')
    assert (caught.value.cause, caught.value.expected) == ('too-large', 'at most 10 bytes')


def test_the_access_rights_of_a_file_are_kept(store: Store):
    store.write('a', ONE)
    store.path('a').chmod(0o640)
    store.write('a', OTHER)
    assert stat.S_IMODE(store.path('a').stat().st_mode) == 0o640


def test_what_cannot_be_restored_is_not_written(store: Store):
    bad = replace(ONE, recorded={'on': float('nan')})
    with pytest.raises(NotRestorable):
        store.write('a', bad)
    assert not store.folder.exists()
