"""Numbered things and functions kept as arrays."""

import numpy as np
import pytest

from pvc.check.arrays import Column, Interned, Rows, distinct, merged


def test_a_thing_has_one_number_and_gives_it_back():
    number = Interned()
    assert [number("a"), number("b"), number("a")] == [0, 1, 0]
    assert number.items == ["a", "b"]


def test_a_copy_goes_its_own_way():
    one = Interned()
    one("a")
    other = one.copy()
    other("b")
    assert one.items == ["a"]
    assert other("a") == 0


def test_a_column_computes_a_value_once_and_only_when_asked():
    asked = []
    column = Column(lambda key: asked.append(key) or key * 2)
    assert column[np.array([3, 5, 3])].tolist() == [6, 10, 6]
    assert column[np.array([5, 5000])].tolist() == [10, 10000]
    assert sorted(asked) == [3, 5, 5000]


def _runs():
    return Rows(2, lambda key: [(key, i) for i in range(key)])


def test_rows_come_with_the_index_of_their_key():
    index, rows = _runs().of(np.array([2, 0, 1]))
    assert index.tolist() == [0, 0, 2]
    assert rows.tolist() == [[2, 0], [2, 1], [1, 0]]


def test_rows_survive_growth():
    rows = _runs()
    for key in range(50):
        assert len(rows.one(key)) == key
    assert rows.one(3).tolist() == [[3, 0], [3, 1], [3, 2]]


def test_inherited_rows_are_computed_again_where_they_are_not_trusted():
    base, heir = _runs(), Rows(2, lambda key: [(key, 99)])
    base.of(np.array([1, 2, 3]))
    heir.inherit(base, {2})
    assert heir.one(3).tolist() == [[3, 0], [3, 1], [3, 2]]
    assert heir.one(2).tolist() == [[2, 99]]
    assert base.one(2).tolist() == [[2, 0], [2, 1]]


@pytest.mark.parametrize("numbers", [[], [1], [3, 1, 3, 2, 1]])
def test_distinct_numbers_are_sorted(numbers):
    assert distinct(np.array(numbers, dtype=np.int64)).tolist() == sorted(set(numbers))


def test_merged_arrays_stay_sorted():
    assert merged(np.array([1, 4, 9]), np.array([0, 5, 10])).tolist() == [0, 1, 4, 5, 9, 10]
