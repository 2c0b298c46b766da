"""A cassette as text, and back."""

from replay.cassette import Cassette, Node, Run
from replay.codec import dumps, loads


def test_a_cassette_comes_back():
    cassette = Cassette(runs=(Run(name='a', agent='a', nodes=(Node(kind='UserPromptNode'),)),))
    assert loads(dumps(cassette)) == cassette
