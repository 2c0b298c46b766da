"""A comparison as text, Markdown and JSON."""

from pydantic_core import from_json, to_json

from replay.cassette import Definition, Run
from replay.diff import CassetteDiff, diff_cassettes
from replay.diff_formats import change_pages, diff_to_json, diff_to_markdown, diff_to_text, summary
from tests.wide import answers, asks, call, cassette, returned, run, text, user


def compare(old: Run | None, new: Run | None) -> CassetteDiff:
    return diff_cassettes(
        cassette(old) if old else None,
        cassette(new) if new else None,
        old_label='main:a.json' if old else None,
        new_label='a.json' if new else None,
    )


def weather(city: str, *, instructions: str = 'Be brief.', extra: bool = False) -> Run:
    definition = Definition(instructions=instructions)
    more = (answers(call('tides', {}, id='2')), asks(returned('tides', 'low', id='2'), definition=definition))
    return run(
        asks(user('Weather?'), definition=definition),
        answers(call('weather', {'city': city})),
        asks(returned('weather', 'sunny'), definition=definition),
        *(more if extra else ()),
        answers(text('Sunny')),
    )


CHANGED = compare(weather('Paris'), weather('Rome', instructions='Never guess.', extra=True))


def test_text_shows_each_node_on_a_line_and_both_values_below() -> None:
    assert diff_to_text([CHANGED]) == (
        '- main:a.json\n'
        '+ a.json\n'
        'run trip_agent: 2 changed, 2 added\n'
        '    0 UserPromptNode\n'
        '  ~ 1 ModelRequestNode: user "Weather?"\n'
        '      instructions\n'
        '      - "Be brief."\n'
        '      + "Never guess."\n'
        '  ~ 2 CallToolsNode: weather(city="Rome") #call-1\n'
        '      parts[0].args.city\n'
        '      - "Paris"\n'
        '      + "Rome"\n'
        '    3 ModelRequestNode: weather -> "sunny" #call-1\n'
        '  + 4 CallToolsNode: tides() #call-2\n'
        '  + 5 ModelRequestNode: tides -> "low" #call-2\n'
        '    6 CallToolsNode: text 5 chars\n'
        '    7 End\n'
    )


def test_pages_tell_one_changed_node_each_with_those_around_it() -> None:
    pages = ['\n'.join(map(str, page)) for page in change_pages(CHANGED)]
    assert len(pages) == 4
    assert pages[1] == (
        'run trip_agent: 2 changed, 2 added\n'
        '    0 UserPromptNode\n'
        '  ~ 1 ModelRequestNode: user "Weather?"\n'
        '  ~ 2 CallToolsNode: weather(city="Rome") #call-1\n'
        '      parts[0].args.city\n'
        '      - "Paris"\n'
        '      + "Rome"\n'
        '    3 ModelRequestNode: weather -> "sunny" #call-1\n'
        '  + 4 CallToolsNode: tides() #call-2'
    )


def test_a_new_run_is_one_page_and_an_equal_one_none() -> None:
    (page,) = change_pages(compare(None, weather('Paris')))
    assert [str(line) for line in page][:2] == ['run trip_agent: new run', '  + 0 UserPromptNode']
    assert change_pages(compare(weather('Paris'), weather('Paris'))) == []


def test_markdown_puts_the_same_into_a_diff_block() -> None:
    assert diff_to_markdown([CHANGED, compare(weather('Rome'), weather('Rome'))]) == (
        '**1 of 2 cassettes differ (2 changed, 2 added nodes)**\n'
        '\n'
        '### `a.json`\n'
        '\n'
        'Compared with `main:a.json`.\n'
        '\n'
        '```diff\n'
        '@@ run trip_agent: 2 changed, 2 added @@\n'
        '   0 UserPromptNode\n'
        '!  1 ModelRequestNode: user "Weather?"\n'
        '     instructions\n'
        '-      "Be brief."\n'
        '+      "Never guess."\n'
        '!  2 CallToolsNode: weather(city="Rome") #call-1\n'
        '     parts[0].args.city\n'
        '-      "Paris"\n'
        '+      "Rome"\n'
        '   3 ModelRequestNode: weather -> "sunny" #call-1\n'
        '+  4 CallToolsNode: tides() #call-2\n'
        '+  5 ModelRequestNode: tides -> "low" #call-2\n'
        '   6 CallToolsNode: text 5 chars\n'
        '   7 End\n'
        '```\n'
    )


def test_json_holds_every_value_in_full() -> None:
    long = 'x' * 1000
    found = diff_to_json([compare(run(answers(text('a'))), run(answers(text(long)), asks(user('b'))))])
    assert from_json(to_json(found)) == {
        'differs': True,
        'cassettes': [
            {
                'old': 'main:a.json',
                'new': 'a.json',
                'differs': True,
                'runs': [
                    {
                        'old': 'trip_agent',
                        'new': 'trip_agent',
                        'status': 'changed',
                        'changes': [],
                        'nodes': [
                            node('same', 'UserPromptNode', 0, 0, 'UserPromptNode'),
                            {
                                **node('changed', 'CallToolsNode', 1, 1, 'CallToolsNode: text 1000 chars'),
                                'changes': [{'path': 'parts[0].content', 'old': 'a', 'new': long}],
                            },
                            node('added', 'ModelRequestNode', None, 2, 'ModelRequestNode: user "b"'),
                            node('same', 'End', 2, 3, 'End'),
                        ],
                    }
                ],
            }
        ],
    }


def node(status: str, kind: str, old: int | None, new: int | None, line: str) -> dict[str, object]:
    return {'status': status, 'kind': kind, 'old_index': old, 'new_index': new, 'line': line}


def test_json_leaves_out_the_side_that_a_field_has_not() -> None:
    found = to_json(diff_to_json([compare(run(answers(text('a'))), run(answers(text('a'), text('b'))))])).decode()
    assert '{"path":"parts[1]","new":{"part":"text","content":"b"}}' in found
    found = to_json(diff_to_json([compare(run(answers(text('a'), text('b'))), run(answers(text('a'))))])).decode()
    assert '{"path":"parts[1]","old":{"part":"text","content":"b"}}' in found


def test_equal_nodes_far_from_a_change_are_folded() -> None:
    old = run(*(asks(user(str(number))) for number in range(9)), answers(text('a')))
    new = run(*(asks(user(str(number))) for number in range(9)), answers(text('b')))
    assert diff_to_text([compare(old, new)]).splitlines()[3:7] == [
        '    ... 8 unchanged nodes',
        '    8 ModelRequestNode: user "7"',
        '    9 ModelRequestNode: user "8"',
        '  ~ 10 CallToolsNode: text 1 chars',
    ]


def test_equal_recordings_show_their_sequence() -> None:
    told = diff_to_text([compare(weather('Rome'), weather('Rome'))]).splitlines()
    assert told[2] == 'run trip_agent: no difference'
    assert len(told) == 3 + 6


def test_a_recording_that_is_new_or_gone_says_so() -> None:
    added, gone = compare(None, weather('Rome')), compare(weather('Rome'), None)
    assert diff_to_text([added]).splitlines()[:4] == [
        '- (none)',
        '+ a.json',
        'run trip_agent: new run',
        '  + 0 UserPromptNode',
    ]
    assert diff_to_text([gone]).splitlines()[1:3] == ['+ (none)', 'run trip_agent: run is gone']
    assert 'New recording.\n' in diff_to_markdown([added])
    assert '### `main:a.json`\n\nThe recording is gone.\n' in diff_to_markdown([gone])


def test_facts_of_a_run_stand_above_its_nodes() -> None:
    old = Run(name='a', agent='a', facts={'end_strategy': 'early'})
    new = Run(name='a', agent='a', facts={'end_strategy': 'exhaustive'})
    assert diff_to_text([compare(old, new)]).splitlines()[2:] == [
        'run a: changed',
        '      end_strategy',
        '      - "early"',
        '      + "exhaustive"',
    ]


def test_a_text_of_several_lines_shows_the_changed_ones() -> None:
    before = '\n'.join(f'line {number}' for number in range(1, 21))
    after = before.replace('line 10', 'line ten').replace('line 20', 'line 20\nend')
    told = diff_to_text([compare(run(answers(text(before))), run(answers(text(after))))]).splitlines()
    assert [line.removeprefix('      ') for line in told[6:-1]] == [
        '  ... from line 8',
        '  line 8',
        '  line 9',
        '- line 10',
        '+ line ten',
        '  line 11',
        '  line 12',
        '  ... from line 19',
        '  line 19',
        '  line 20',
        '+ end',
    ]


def test_a_text_changed_throughout_is_cut_with_a_count() -> None:
    before, after = '\n'.join('a' * 100), '\n'.join('b' * 100)
    told = diff_to_text([compare(run(answers(text(before))), run(answers(text(after))))])
    assert '        ... 160 more lines\n' in told


def test_long_texts_are_shown_from_where_they_part() -> None:
    before, after = 'x' * 1000 + 'old', 'x' * 1000 + 'new'
    told = diff_to_text([compare(run(answers(text(before))), run(answers(text(after))))])
    assert f'      - (925 chars) ..."{"x" * 75}old"\n      + (925 chars) ..."{"x" * 75}new"\n' in told


def test_long_texts_that_part_at_once_are_shown_from_the_start() -> None:
    told = diff_to_text([compare(run(answers(text('a' * 400))), run(answers(text(''))))])
    assert f'      - "{"a" * 299}... (102 more chars)\n      + ""\n' in told


def test_texts_of_very_many_lines_are_compared_as_one_value() -> None:
    before, after = 'a\n' * 3000, 'b\n' * 3000
    assert '... (' in diff_to_text([compare(run(answers(text(before))), run(answers(text(after))))])


def test_nothing_from_a_recording_reaches_the_terminal_or_leaves_the_block() -> None:
    evil = '\x1b[2J```\n</details>\n````'
    old, new = run(answers(text('a')), name='a'), run(answers(text(evil)), name='\x1b[2J`/a')
    told = diff_to_text([compare(old, new)])
    assert '\x1b' not in told
    marked = diff_to_markdown([compare(old, new)])
    assert '\n`````diff\n' in marked
    assert '\x1b' not in marked
    labelled = diff_cassettes(None, cassette(), old_label=None, new_label='`x`')
    assert '### `` `x` ``\n' in diff_to_markdown([labelled])


def test_the_summary_counts_cassettes_and_nodes() -> None:
    assert summary([compare(weather('Rome'), weather('Rome'))]) == '0 of 1 cassettes differ'
    assert summary([]) == '0 of 0 cassettes differ'


def test_a_side_without_a_changed_field_has_no_line() -> None:
    old, new = run(answers(text('a'), call('f', {}))), run(answers(text('a'), call('g', {})))
    assert [line.strip() for line in diff_to_text([compare(old, new)]).splitlines()[4:]] == [
        '~ 1 CallToolsNode: text 1 chars, g() #call-1',
        'parts[1]',
        '- {"part":"tool-call","tool_name":"f","args":{}}',
        'parts[1]',
        '+ {"part":"tool-call","tool_name":"g","args":{}}',
        '2 End',
    ]
