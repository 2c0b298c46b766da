"""Power that goes at any moment: what was flushed is there, the rest may be; a cassette is the old or the new one."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from replay import use_cassette
from replay.effects import Answered
from replay.errors import CassetteNotFound
from replay.journal import read_journal
from replay.store import Store
from tests.replay.test_faults import NEW, OLD, OPERATIONS, prepared
from tests.replay.test_resuming import Trip

CALLS = ('open', 'write', 'fsync', 'replace', 'unlink', 'close', 'ftruncate')


@dataclass
class _File:
    """What a file holds: for the programs that run, and on the disk."""

    written: bytes = b''
    flushed: bytes = b''


@dataclass
class Disk:
    """What a disk could hold if the power went, after each thing that is done to a folder.

    Contents last when their file was flushed, names when their folder was. What was not flushed may be on the disk
    all the same, of both independently: four states are possible at each moment.
    """

    folder: Path
    noted: Callable[[], int] = int
    """What is noted beside each moment."""
    names: dict[str, _File] = field(default_factory=dict[str, _File])
    lasting: dict[str, _File] = field(default_factory=dict[str, _File])
    handles: dict[int, str | _File] = field(default_factory=dict[int, str | _File])
    moments: list[tuple[int, dict[str, bytes]]] = field(default_factory=list[tuple[int, dict[str, bytes]]])

    def __post_init__(self) -> None:
        for path in filter(Path.is_file, self.folder.rglob('*')):
            self.names[str(path)] = self.lasting[str(path)] = _File(path.read_bytes(), path.read_bytes())

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            found = real(*args, **kwargs)
            if isinstance(args[0], int):
                self._of_handle(name, args, found)
            elif str(args[0]).startswith(str(self.folder)):
                self._of_path(name, args, found)
            return found

        return call

    def _of_path(self, name: str, args: tuple[Any, ...], found: Any) -> None:
        path = str(args[0])
        if name == 'open':
            self.handles[found] = path if Path(path).is_dir() else self.names.setdefault(path, _File())
        elif name == 'replace':
            self.names[str(args[1])] = self.names.pop(path)
        elif name == 'unlink':
            del self.names[path]
        self._look()

    def _of_handle(self, name: str, args: tuple[Any, ...], found: Any) -> None:
        file = self.handles.get(args[0])
        if file is None:
            return
        if name == 'close':
            del self.handles[args[0]]
        elif isinstance(file, str):
            inside = {path: one for path, one in self.names.items() if str(Path(path).parent) == file}
            outside = {path: one for path, one in self.lasting.items() if str(Path(path).parent) != file}
            self.lasting = outside | inside
        elif name == 'write':
            file.written += bytes(args[1])[:found]
        elif name == 'ftruncate':
            file.written = file.written[: args[1]]
        elif name == 'fsync':
            file.flushed = file.written
        self._look()

    def _look(self) -> None:
        for names, content in product((self.lasting, self.names), ('flushed', 'written')):
            self.moments.append((self.noted(), {path: getattr(file, content) for path, file in names.items()}))


def states(disk: Disk, folder: Path) -> list[Store]:
    """Each state that the disk could be in, as a folder of its own."""
    different = {tuple(sorted(files.items())): None for _, files in disk.moments}
    found: list[Store] = []
    for number, files in enumerate(different):
        for path, data in files:
            target = folder / str(number) / Path(path).relative_to(disk.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        found.append(Store(folder / str(number)))
    return found


@pytest.mark.parametrize('operation', ['write the first', 'write anew', 'write pending', 'accept', 'reject'])
def test_a_power_loss_at_any_moment_leaves_the_old_cassette_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
):
    do, (old, pending) = OPERATIONS[operation]
    store = prepared(tmp_path / 'real', old=old, pending=pending)
    disk = Disk(store.folder)
    with monkeypatch.context() as patch:
        disk.watch(patch)
        do(store)
    left = states(disk, tmp_path / 'left')
    assert len(left) > 1
    for one in left:
        try:
            assert one.read('deep/a') in (OLD, NEW)
        except CassetteNotFound:
            assert not old
        if one.exists('deep/a', pending=True):
            assert one.read('deep/a', pending=True) == NEW


@pytest.mark.parametrize('operation', ['write the first', 'write anew', 'write pending', 'accept', 'reject'])
def test_what_was_written_outlasts_a_power_loss_right_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
):
    do, (old, pending) = OPERATIONS[operation]
    store = prepared(tmp_path / 'real', old=old, pending=pending)
    disk = Disk(store.folder)
    with monkeypatch.context() as patch:
        disk.watch(patch)
        do(store)
    there = {path: path.read_bytes() for path in filter(Path.is_file, store.folder.rglob('*'))}
    lasting = {Path(path): file.flushed for path, file in disk.lasting.items()}
    assert {path: data for path, data in lasting.items() if path.name.startswith('a.json') and data} == there


@pytest.mark.anyio
async def test_what_was_paid_for_outlasts_a_power_loss_before_the_next_thing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trip = Trip()
    folder = tmp_path / 'cassettes'
    folder.mkdir()
    disk = Disk(folder, noted=lambda: trip.asked)
    with monkeypatch.context() as patch:
        disk.watch(patch)
        with use_cassette('trip', dir=folder, record='once'):
            await trip.agent.run('Weather?')
    seen: set[int] = set()
    for asked, files in disk.moments:
        data = files.get(str(folder / 'trip.json.journal'), b'')
        entries = read_journal(data, name='a').entries.get('trip', [])
        answers = sum(isinstance(entry.outcome, Answered) for entry in entries)
        assert str(folder / 'trip.json') in files or answers >= asked - 1
        seen.add(answers)
    assert seen == {0, 1, 2, 3}
    cassettes = [files[path] for _, files in disk.moments for path in files if path.endswith('trip.json')]
    assert set(cassettes) == {(folder / 'trip.json').read_bytes()}
