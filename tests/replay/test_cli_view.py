"""`replay view`: one HTML page, in which nothing from a recording is more than text."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.canon import Json
from replay.cassette import Cassette, Definition
from replay.cli._group import replay as command
from replay.cli._view import diff_page, page
from replay.diff import diff_cassettes
from replay.store import Store
from tests.wide import answers, asks, call, cassette, request, returned, run, text, user

EVIL = '<script>alert(1)</script>"\'><img src=x onerror=alert(2)> javascript:x \x1b[2J \u202e {{ 7*7 }} &amp;'

TAGS = {
    *('html', 'head', 'meta', 'title', 'style', 'body', 'h1', 'h2', 'dl', 'dt', 'dd', 'ul', 'li', 'a', 'section'),
    *('span', 'details', 'summary', 'div', 'pre'),
}


class _Seen(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or '') for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def seen(html: str) -> _Seen:
    found = _Seen()
    found.feed(html)
    return found


def everywhere(words: str) -> Cassette:
    """A cassette that says some words in every place that a recording can fill."""
    definition = Definition(instructions=words, tools={words: {'description': words, 'parameters': {}}})
    one = run(
        asks(user(words), definition=definition),
        answers(call('tool', {words: words})),
        asks(returned('tool', {'deep': [words]}), definition=definition),
        answers(text(words)),
        history=(request(user(words)),),
    )
    one = replace(one, name=f'a{words}', agent=words, facts={words: words}, marks=(words,))
    return replace(cassette(one, run(asks(user('x')))), test=words, recorded={words: words})


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['view', *arguments])


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A cassette that says something."""
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    found.write('a', cassette(replace(run(asks(user('Paris?')), answers(text('sunny\nall day'))), marks=('edited',))))
    return found


def test_nothing_from_a_recording_becomes_markup() -> None:
    found = seen(page(everywhere(EVIL), title=EVIL))
    assert found.tags <= TAGS
    assert {name for name, _ in found.attributes} == {
        'lang',
        'charset',
        'http-equiv',
        'content',
        'name',
        'id',
        'href',
    } | {
        'class',
        'open',
    }
    assert {value for name, value in found.attributes if name == 'href'} == {'#run-1', '#run-2'}
    shown = ''.join(found.texts)
    assert shown.count('<script>alert(1)</script>') > 10
    assert '{{ 7*7 }}' in shown
    assert not {'\x1b', '\u202e'} & set(shown)


def test_the_page_needs_nothing_else() -> None:
    html = page(everywhere('words'), title='t')
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert not {'script', 'link', 'img', 'iframe'} & seen(html).tags
    assert '://' not in html


def test_the_page_shows_every_text_in_full_and_the_marks(store: Store) -> None:
    result = invoke('cassettes/a.json')
    assert result.exit_code == 0
    for words in ('Paris?', 'sunny\nall day', 'edited', 'tests/test_trip.py::test_forecast', 'trip_agent'):
        assert words in ''.join(seen(result.stdout).texts)


def test_of_files_the_page_shows_the_size(store: Store) -> None:
    file: Json = {'data': 'YWJj' * 999 + 'YQ==', 'media_type': 'image/png', 'kind': 'binary'}
    store.write('a', cassette(run(asks(user(['look', file])), answers(text('nice')))))
    html = invoke('a').stdout
    assert ('(2998 bytes, in the cassette)' in html, 'YWJjYWJj' in html) == (True, False)


def test_long_data_is_laid_out_in_lines(store: Store) -> None:
    rows: list[Json] = [{'row': number, 'text': 'x' * 20} for number in range(5)]
    store.write('a', cassette(run(asks(user('x')), answers(call('tool', {'rows': rows})))))
    assert '    {"row": 3, "text": "xxxxxxxxxxxxxxxxxxxx"},\n' in ''.join(seen(invoke('a').stdout).texts)


def test_two_cassettes_are_compared_on_a_page(store: Store) -> None:
    store.write('b', cassette(run(asks(user('Rome?')), answers(text('sunny\nall day')))))
    result = invoke('a', 'b')
    assert result.exit_code == 0
    assert '<span class="changed">  ~ 1 ModelRequestNode: user &#34;Rome?&#34;</span>' in result.stdout
    assert '<span class="removed">      - &#34;Paris?&#34;</span>' in result.stdout
    assert '<span class="added">      + &#34;Rome?&#34;</span>' in result.stdout
    assert invoke('a', 'b', 'a').exit_code == 2


def test_nothing_from_a_comparison_becomes_markup() -> None:
    old, new = everywhere(EVIL), everywhere(f'{EVIL}{EVIL}')
    found = seen(diff_page(diff_cassettes(old, new, old_label=EVIL, new_label=EVIL)))
    assert found.tags <= TAGS
    shown = ''.join(found.texts)
    assert shown.count('<script>alert(1)</script>') > 10
    assert not {'\x1b', '\u202e'} & set(shown)


def test_the_page_is_written_where_it_should_be_and_replaces_nothing_unasked() -> None:
    assert invoke('cassettes/a.json', '-o', 'a.html').stdout == 'written to a.html\n'
    assert invoke('cassettes/a.json', '-o', 'a.html').stdout == 'unchanged a.html\n'
    Path('a.html').write_text('mine')
    assert invoke('cassettes/a.json', '-o', 'a.html').exit_code == 2
    assert invoke('cassettes/a.json', '-o', 'a.html', '--force').exit_code == 0


def test_a_missing_cassette_is_told() -> None:
    assert invoke('nope.json').exit_code == 2
