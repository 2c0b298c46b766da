from replay.cassette import Node, Raised, Run
from replay.unplayed import beside, in_columns
from tests.replay.wire import answered, asked, call, retry, returned, system, text, user

RUN = Run(
    name='trip',
    agent='trip',
    nodes=(
        Node(kind='UserPromptNode'),
        Node(kind='ModelRequestNode', message=asked(system(), user())),
        Node(kind='CallToolsNode', message=answered(text(), call('look'), call('look', 'c2'))),
        Node(kind='ModelRequestNode', message=asked(returned())),
        Node(kind='CallToolsNode', message=answered(call('look'))),
        Node(kind='ModelRequestNode', message=asked(returned(), retry())),
        Node(kind='CallToolsNode', message=answered(text())),
        Node(kind='End'),
    ),
)


def test_nodes_stand_beside_each_other_from_two_before_the_first_that_is_missing():
    assert beside(RUN, 5, raised=None) == [
        '  recorded                                        this run',
        '3 ModelRequestNode  1 result                      ModelRequestNode  1 result',
        '4 CallToolsNode     look                          CallToolsNode     look',
        '5 ModelRequestNode  2 results                     -',
        '6 CallToolsNode     text                          -',
        '7 End                                             -',
    ]


def test_a_run_that_never_got_anywhere_has_nothing_beside_its_recording():
    raised = Raised(type='builtins.ValueError', message='boom')
    assert beside(RUN, 0, raised=raised)[:4] == [
        '  recorded                                        this run',
        '0 UserPromptNode                                  -',
        '1 ModelRequestNode  system prompt, user prompt    -',
        '2 CallToolsNode     text, look                    -',
    ]


def test_the_error_that_ended_the_run_stands_where_it_was_raised():
    raised = Raised(type='app.errors.Exceeded', message='boom')
    assert beside(RUN, 1, raised=raised)[1].endswith('UserPromptNode   <- raised here: Exceeded')


def test_columns_are_as_wide_as_they_have_to_be_and_safe_to_show():
    lines = in_columns([('x' * 60, 'a'), ('\x1b[31m', '-')], numbers=[9, 10])
    assert lines[0] == f'   {"recorded":<62}this run'
    assert lines[1] == f' 9 {"x" * 60}  a'
    assert '\x1b' not in lines[2]
    assert in_columns([]) == ['  recorded                                        this run']
