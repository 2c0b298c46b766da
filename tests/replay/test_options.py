"""What a session is asked to do: every spelling of it, and every refusal."""

from datetime import timedelta
from typing import Any

import pytest

from replay.errors import ReplayError
from replay.match import FIELDS
from replay.options import Options


def test_nothing_asked_for_is_as_usual():
    assert Options.of() == Options()
    assert (Options().record, Options().match, Options().unplayed, Options().network) == (
        'none',
        FIELDS,
        'fail',
        'block',
    )


@pytest.mark.parametrize(
    ('wishes', 'name', 'value'),
    [
        ({'tools': 'live'}, 'tools', {'*': 'live'}),
        ({'tools': {'book': 'live', '*': 'verify'}}, 'tools', {'book': 'live', '*': 'verify'}),
        ({'tools': 'book=live, *=verify'}, 'tools', {'book': 'live', '*': 'verify'}),
        ({'match': 'all'}, 'match', FIELDS),
        ({'match': 'tools,messages'}, 'match', ('messages', 'tools')),
        ({'match': ['settings']}, 'match', ('settings',)),
        ({'max_age': '90d'}, 'max_age', timedelta(days=90)),
        ({'max_age': '12 weeks'}, 'max_age', timedelta(weeks=12)),
        ({'max_age': timedelta(hours=1)}, 'max_age', timedelta(hours=1)),
        ({'max_age': None}, 'max_age', None),
        ({'max_age': ''}, 'max_age', None),
        ({'allowed_hosts': 'a.test b.test,c.test'}, 'allowed_hosts', ('a.test', 'b.test', 'c.test')),
        ({'allowed_hosts': ['a.test']}, 'allowed_hosts', ('a.test',)),
        ({'play_pending': True}, 'play_pending', True),
        ({'redact': [('ticket', 'T-[0-9]+')]}, 'redact', (('ticket', 'T-[0-9]+'),)),
        ({'record': 'rebind'}, 'record', 'rebind'),
    ],
)
def test_a_wish_is_brought_into_one_form(wishes: dict[str, Any], name: str, value: Any):
    assert getattr(Options.of(wishes), name) == value


@pytest.mark.parametrize(
    ('wishes', 'headline', 'expected'),
    [
        ({'colour': 'red'}, "'colour' is no option of a session", 'record, tools, match'),
        ({'record': 'twice'}, "'twice' is no record mode", 'none, once, new_episodes, all, rewrite'),
        ({'tools': 'some'}, "'some' is no value of tools", 'replay, live, verify'),
        ({'tools': {'book': 'some'}}, "'some' is no value of tools[book]", 'replay, live, verify'),
        ({'tools': 3}, '3 is no value of tools', 'get_weather=live'),
        ({'match': 'messages,colour'}, "'colour' is no value of match", 'instructions, messages'),
        ({'unplayed': 'shout'}, "'shout' is no value of unplayed", 'ignore, warn, fail'),
        ({'max_age': 'old'}, "'old' is no age", '90d'),
        ({'network': 'open'}, "'open' is no value of network", 'block, allow'),
    ],
)
def test_what_does_not_exist_is_refused_by_name(wishes: dict[str, Any], headline: str, expected: str):
    with pytest.raises(ReplayError) as refused:
        Options.of(wishes)
    assert refused.value.headline == headline
    assert expected in (refused.value.expected or '')


def test_each_tool_has_its_way():
    options = Options.of({'tools': 'book=live'})
    assert (options.tool('book'), options.tool('other'), options.runs_tools) == ('live', 'replay', True)
    assert Options.of({'tools': 'book=live,*=verify'}).tool('other') == 'verify'
    assert not Options().runs_tools
    assert not Options.of({'tools': 'replay'}).runs_tools
