"""The lean decorators make what the standard one makes; copies with changes; short reprs."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
from dataclasses import KW_ONLY, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from agentrun._records import changed, fact, full_repr, lean_dataclass, told_apart_by


@lean_dataclass()
class Lean:
    """A class with every kind of field."""

    a: int
    b: str = 'b'
    c: list[int] = field(default_factory=list[int])
    _: KW_ONLY
    d: float = 0.0
    e: int = field(default=5, compare=False, repr=False)


@dataclass
class Standard:
    """The same fields with the standard decorator."""

    a: int
    b: str = 'b'
    c: list[int] = field(default_factory=list[int])
    _: KW_ONLY
    d: float = 0.0
    e: int = field(default=5, compare=False, repr=False)


@lean_dataclass(kw_only=True, show=full_repr)
class Child(Lean):
    """A subclass with a field of its own."""

    f: int = 6


def test_the_arguments_are_those_of_the_standard_decorator():
    assert str(inspect.signature(Lean)) == str(inspect.signature(Standard))
    assert Lean.__match_args__ == Standard.__match_args__
    assert is_dataclass(Lean)


def test_a_wrong_call_is_told_as_usual():
    with pytest.raises(TypeError) as error:
        Lean()  # pyright: ignore[reportCallIssue]
    assert str(error.value) == "Lean.__init__() missing 1 required positional argument: 'a'"


def test_each_instance_has_its_own_default():
    first, second = Lean(1), Lean(1)
    first.c.append(1)
    assert second.c == []


def test_instances_are_equal_by_their_compared_fields():
    assert Lean(1, e=1) == Lean(1, e=2)
    assert Lean(1) != Lean(2)
    assert Lean(1, d=math.nan) != Lean(1, d=float('nan'))
    assert Lean(1, d=math.nan) == Lean(1, d=math.nan)


def test_instances_of_different_classes_are_not_equal():
    assert Lean(1) != Child(1)
    assert Lean(1) != 1


def test_instances_are_not_hashable():
    with pytest.raises(TypeError, match="unhashable type: 'Lean'"):
        hash(Lean(1))


def test_a_repr_leaves_out_plain_defaults_and_shows_factories():
    assert repr(Lean(1)) == 'Lean(a=1, c=[])'
    assert repr(Lean(1, 'x', d=1.0, e=7)) == "Lean(a=1, b='x', c=[], d=1.0)"


def test_a_full_repr_shows_every_field():
    @lean_dataclass(show=full_repr)
    class Full:
        a: int = 1
        b: int = field(default=2, repr=False)

    assert repr(Full()).endswith('Full(a=1)')


def test_a_repr_that_is_there_stays():
    assert repr(Child(1)) == 'Child(a=1, c=[])'


def test_an_init_that_is_there_stays():
    @lean_dataclass()
    class Own:
        a: int

        def __init__(self) -> None:
            self.a = 3

    assert Own().a == 3


def test_a_subclass_takes_all_fields():
    child = Child(1, 'x', d=2.0, f=3)
    assert (child.a, child.b, child.d, child.f) == (1, 'x', 2.0, 3)
    assert [f.name for f in fields(child)] == ['a', 'b', 'c', 'd', 'e', 'f']


def test_a_subclass_may_call_the_init_of_its_base():
    class Derived(Lean):
        def __init__(self, number: int) -> None:
            super().__init__(number, b='derived')

    assert repr(Derived(4)).endswith("Derived(a=4, b='derived', c=[])")


def test_a_standard_subclass_works():
    @dataclass
    class Derived(Lean):
        g: int = 7

    assert Derived(1, g=8).g == 8
    assert Derived(1) == Derived(1)


def test_the_tools_for_dataclasses_work():
    lean = Lean(1, c=[1])
    assert asdict(lean) == asdict(Standard(1, c=[1]))
    assert replace(lean, a=2) == Lean(2, c=[1])
    assert copy.deepcopy(lean) == lean
    assert pickle.loads(pickle.dumps(lean)) == lean


def test_pydantic_takes_it_for_a_dataclass():
    adapter = TypeAdapter(Lean)
    assert adapter.validate_json('{"a":1,"c":["2"]}') == Lean(1, c=[2])
    with pytest.raises(ValidationError):
        adapter.validate_json('{}')


def test_a_changed_copy_leaves_the_original_alone():
    original = Child(1)
    copied = changed(original, a=2, f=9)
    assert (original.a, original.f) == (1, 6)
    assert copied == Child(2, f=9)
    assert copied.c is original.c


def test_an_init_is_compiled_on_first_use_only():
    @lean_dataclass()
    class Late:
        a: int

    late: Any = Late
    before = late.__dict__['__init__']
    assert Late(1).a == 1
    after = late.__dict__['__init__']
    assert not inspect.isfunction(before)
    assert inspect.isfunction(after)
    assert before.__get__(None, Late) is not None


def test_a_post_init_is_called():
    @lean_dataclass()
    class Checked:
        a: int

        def __post_init__(self) -> None:
            self.a += 1

    assert Checked(1).a == 2


def test_an_equality_that_is_there_stays():
    @lean_dataclass()
    class Own:
        a: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 1

    assert Own(1) == Own(2)
    assert hash(Own(1)) == 1


@fact()
class Fact:
    """A fact with every kind of field."""

    a: int
    b: str = 'b'
    c: tuple[int, ...] = field(default_factory=tuple[int, ...])
    d: int = field(default=4, compare=False)

    def next(self) -> Fact:
        return replace(self, a=self.a + 1)


@fact(kw_only=True)
class NamedFact(Fact):
    """A fact with a field that must be named."""

    e: float


def test_facts_are_equal_and_hashable_by_their_fields():
    assert Fact(1) == Fact(1, d=5) != Fact(2)
    assert {Fact(1), Fact(1), Fact(2)} == {Fact(2), Fact(1)}
    assert NamedFact(1, e=0.5) == NamedFact(1, e=0.5) != Fact(1)


def test_facts_show_all_their_fields():
    assert repr(NamedFact(1, e=0.5)) == "NamedFact(a=1, b='b', c=(), d=4, e=0.5)"


def test_facts_have_slots_and_can_be_copied_and_pickled():
    made = Fact(1, 'x', (1,))
    assert not hasattr(made, '__dict__')
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
    assert made.next() == Fact(2, 'x', (1,))
    assert asdict(made) == {'a': 1, 'b': 'x', 'c': (1,), 'd': 4}


def test_facts_match_patterns():
    match Fact(1, 'x'):
        case Fact(number, text):
            assert (number, text) == (1, 'x')


@lean_dataclass()
class Cat:
    lives: int
    kind: Literal['cat'] = 'cat'


@lean_dataclass()
class Dog:
    lives: str
    kind: Literal['dog'] = 'dog'


def test_members_of_a_union_are_told_apart_by_a_field():
    adapter = TypeAdapter[Cat | Dog](Annotated[Cat | Dog, told_apart_by('kind')])
    assert adapter.validate_json('{"lives":"9","kind":"cat"}') == Cat(9)
    assert adapter.validate_json('{"lives":"9","kind":"dog"}') == Dog('9')
    with pytest.raises(ValidationError) as error:
        adapter.validate_json('{"lives":"9","kind":"cow"}')
    assert [fault['type'] for fault in error.value.errors()] == ['union_tag_invalid']
