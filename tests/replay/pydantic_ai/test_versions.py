"""Recordings of one version of pydantic_ai under another. `recorded` holds one of each, made by these versions."""

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from replay import use_cassette  # noqa: E402
from replay.adapters.pydantic_ai._wire import table_name  # noqa: E402
from replay.check import check_cassette  # noqa: E402
from replay.codec import loads  # noqa: E402
from replay.match import Diverged  # noqa: E402
from replay.shapes import TABLES  # noqa: E402
from tests.replay.pydantic_ai.driving import STYLES, Asked  # noqa: E402
from tests.replay.pydantic_ai.record_versions import retried  # noqa: E402
from tests.replay.pydantic_ai.test_runs import made  # noqa: E402

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parent / 'recorded'
WRITERS = ('1.15.0', '1.38.0', '1.107.5', '2.33.0', '2.68.0')


@pytest.mark.parametrize('style', ['run', 'run_stream'])
@pytest.mark.parametrize('writer', WRITERS)
async def test_a_recording_of_another_version_is_replayed(tmp_path: Path, writer: str, style: str):
    name = f'{style}_by_{writer}.json'
    shutil.copy(RECORDED / name, tmp_path / name)
    asked = Asked()
    with use_cassette(name, dir=tmp_path) as session:
        output, _ = await STYLES[style](made('both', asked), 'Weather in Paris?')
    assert (asked.times, session.live_requests) == (0, 0)
    assert (output.city, output.celsius) == ('Paris', 21)


@pytest.mark.parametrize('writer', WRITERS)
async def test_retries_are_the_same_in_the_parts_that_each_version_has_for_them(tmp_path: Path, writer: str):
    name = f'retried_by_{writer}.json'
    shutil.copy(RECORDED / name, tmp_path / name)
    with use_cassette(name, dir=tmp_path) as session:
        result = await retried()
    assert (result.output, session.live_requests) == ('better', 0)
    assert b'not there' in result.all_messages_json()


async def test_a_replay_that_differs_says_which_versions_there_are(tmp_path: Path):
    writer = next(one for one in WRITERS if one != pydantic_ai.__version__)
    shutil.copy(RECORDED / f'run_by_{writer}.json', tmp_path / 'one.json')
    versions = f'recorded by pydantic-ai {writer}, replayed by pydantic-ai {pydantic_ai.__version__}'
    with pytest.raises(Diverged, match=versions), use_cassette('one', dir=tmp_path):
        await made('both', Asked()).run('Weather in Rome?')


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('kind', ['run', 'run_stream', 'retried'])
def test_the_core_plays_recordings_of_each_version(kind: str, writer: str):
    cassette = loads((RECORDED / f'{kind}_by_{writer}.json').read_bytes())
    assert {checked.verdict for checked in check_cassette(cassette)} == {'exact'}


def test_the_table_of_the_installed_version_is_known():
    assert table_name() in TABLES


def test_each_kind_of_part_of_the_installed_version_has_its_keys_in_the_table():
    table, messages = TABLES[table_name()], pydantic_ai.messages
    told = {
        (one, kind): {*shape.keys, *shape.extra}
        for one, shapes in (('Request', table.request_parts), ('Response', table.response_parts))
        for kind, shape in shapes.items()
    }
    for one in ('Request', 'Response'):
        for part in get_args(get_args(getattr(messages, f'Model{one}Part'))[0]):
            kind = get_args(part)[0] if get_origin(part) is Annotated else part
            names = {field.name for field in fields(kind)}
            default = next(str(field.default) for field in fields(kind) if field.name == 'part_kind')
            assert told[(one, default)] >= names, kind
