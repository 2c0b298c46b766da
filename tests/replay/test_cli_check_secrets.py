"""`replay check` of cassettes that hold secrets."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from replay.cassette import Cassette, Node, Run
from replay.cli._group import replay as command
from replay.codec import dumps
from tests.replay.secrets_planted import SECRETS, heart


def checked(folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, ['check', str(folder), *options])
    return result.exit_code, result.output


def write(folder: Path, text: str) -> None:
    node = Node(kind='UserPromptNode', facts={'deferred_tool_results': {'note': text}})
    run = Run(name='trip', agent='trip', nodes=(node,), facts={})
    (folder / 'trip.json').write_text(dumps(Cassette(runs=(run,))), encoding='utf-8')


@pytest.mark.parametrize('name', SECRETS)
def test_a_cassette_with_a_secret_is_named_with_the_place_and_without_the_secret(tmp_path: Path, name: str):
    write(tmp_path, SECRETS[name])
    code, output = checked(tmp_path)
    assert code == 1
    assert f'<secret:{name.split(maxsplit=1)[0]}> in run trip  node 0 UserPromptNode' in output
    assert 'field facts.deferred_tool_results.note' in output
    assert '1 secret' in output
    assert heart(SECRETS[name]) not in output


def test_the_value_of_a_variable_is_found_and_json_has_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('TRIP_PASSWORD', 'plain words here')
    write(tmp_path, 'with plain words here')
    code, output = checked(tmp_path, '--json')
    found = json.loads(output)['cassettes'][0]
    assert (code, found['state']) == (1, 'secret')
    assert found['secrets'] == [
        {
            'stand_in': '<secret:env TRIP_PASSWORD>',
            'run': 'trip',
            'node': '0 UserPromptNode',
            'field': 'facts.deferred_tool_results.note',
        }
    ]


def test_stand_ins_are_no_secrets(tmp_path: Path):
    write(tmp_path, '<secret:openai-key>')
    assert 'secrets' not in json.loads(checked(tmp_path, '--json')[1])['cassettes'][0]
