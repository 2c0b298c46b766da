"""Recordings of one version of pydantic_ai under another. `recorded` holds one of each, made by these versions."""

import shutil
from pathlib import Path

import pytest

pydantic_ai = pytest.importorskip('pydantic_ai', reason='agents of pydantic_ai are tested where it is installed')

from replay import use_cassette  # noqa: E402
from replay.adapters.pydantic_ai._wire import table_name  # noqa: E402
from replay.shapes import TABLES  # noqa: E402
from tests.replay.pydantic_ai.driving import STYLES, Asked  # noqa: E402
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
    agent = made('both', asked)
    # What is asked of the model beside its messages changes with versions, by the library's own decision.
    fields = ['instructions', 'messages', *(['tools', 'output'] if writer == pydantic_ai.__version__ else [])]
    with use_cassette(name, dir=tmp_path, match=fields) as session:
        output, _ = await STYLES[style](agent, 'Weather in Paris?')
    assert (asked.times, session.live_requests) == (0, 0)
    assert (output.city, output.celsius) == ('Paris', 21)


def test_the_table_of_the_installed_version_is_known():
    assert table_name() in TABLES
