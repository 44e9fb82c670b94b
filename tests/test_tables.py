"""Tables as data: vectors with their answers in columns of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.toolchain.errors import DataError


def write(folder, text):
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def test_a_column_called_y_is_the_answer(tmp_path):
    data = read_data(write(tmp_path, "a,Y,b\n1,0.5,2\n3,-1,4e-1\n"))
    assert data.kind == "values" and data.answers.tolist() == [[0.5], [-1]]
    np.testing.assert_array_equal(
        data.read(np.array([1, 0]), (2,)), np.array([[3, 0.4], [1, 2]], np.float32)
    )
    assert data.names == ("row 0", "row 1") and data.shape == (2,)


def test_the_answers_columns_are_named(tmp_path):
    path = write(tmp_path, "y,a,b,kind\n1,2,3,cat\n4,5,6,dog\n7,8,9,cat\n")
    data = read_data(path, Reading(answer=("kind",)))
    assert data.classes == ("cat", "dog") and data.answers.tolist() == [0, 1, 0]
    assert data.shape == (3,)
    path = write(tmp_path, "u,v,w\n1,2,3\n4,5.5,6\n")
    data = read_data(path, Reading(answer=("w", "v")))
    assert data.kind == "values" and data.answers.tolist() == [[3, 2], [6, 5.5]]
    assert data.read(np.array([1]), (1,)).tolist() == [[4]]


@pytest.mark.parametrize(
    "cells, kind", [("0 2 1", "classes"), ("a b a", "classes"), ("0 2 1.5", "values")]
)
def test_cells_say_what_the_answers_are(tmp_path, cells, kind):
    rows = "".join(f"1,{cell}\n" for cell in cells.split())
    assert read_data(write(tmp_path, "a,label\n" + rows)).kind == kind


def test_whole_numbers_are_values_where_it_is_said(tmp_path):
    path = write(tmp_path, "a,price\n1,-300\n2,12000\n")
    with pytest.raises(DataError, match="row 0 is the label -300; .*say --task values"):
        read_data(path, Reading(answer=("price",)))
    data = read_data(path, Reading(answer=("price",), kind="values"))
    assert data.answers.tolist() == [[-300], [12000]]


def test_without_such_a_column_there_are_no_answers(tmp_path):
    data = read_data(write(tmp_path, "a,b\n1,2\n"))
    assert data.answers is None and data.shape == (2,)


@given(arrays.arrays(float, (3, 2), elements=st.floats(-1e30, 1e30)))
def test_numbers_come_back(tmp_path_factory, x):
    text = "".join(f"{a!r},{b!r},{i}\n" for i, (a, b) in enumerate(x.tolist()))
    data = read_data(write(tmp_path_factory.mktemp("t"), "a,b,target\n" + text))
    np.testing.assert_array_equal(data.read(np.arange(3), (2,)), x.astype(np.float32))
    assert data.answers.tolist() == [0, 1, 2]


BAD = {
    "text": (
        "a,b,y\n1,2,0\n1,red,1\n",
        "line 3, column 'b': 'red' is no finite number",
    ),
    "empty": ("a,y\n,0\n", "line 2, column 'a': '' is no finite number; correct it"),
    "NaN": ("a,y\n1,0\nnan,0\n", "line 3, column 'a': 'nan' is no finite number"),
    "infinite": ("a,y\n1,0.5\n1,-inf\n", "line 3, column 'y': '-inf' is no finite"),
    "missing": ("a,y\n1,cat\n1,\n", "line 3, column 'y': the answer is missing"),
    "cells": ("a,y\n1,0\n1,2,0\n", "line 3: it has 3 cells and the first line 2"),
    "no names": ("1,0\n2,1\n", "line 1: '1,0'; the first line names the columns"),
    "a name twice": ("a,a,y\n1,2,0\n", "line 1: 'a,a,y'; the first line names the col"),
    "a blank name": ("a,,y\n1,2,0\n", "line 1: 'a,,y'; the first line names the colum"),
    "no rows": ("a,y\n", "line 1: the table holds 2 columns and 0 rows; at least"),
    "nothing": ("", "the table holds 0 columns and 0 rows"),
    "two answers": ("a,y,label\n1,2,0\n", "a, y, label, with y, label for the answer"),
    "answers alone": ("y\n1\n", "columns are y, with y for the answer; name columns"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_one_sentence(tmp_path, name):
    text, words = BAD[name]
    with pytest.raises(DataError, match=f"t.csv.*{words}"):
        read_data(write(tmp_path, text))


def test_a_column_that_is_not_there(tmp_path):
    path = write(tmp_path, "a,y\n1,0\n")
    with pytest.raises(DataError, match="its columns are a, y, with z for the answer"):
        read_data(path, Reading(answer=("z",)))
    with pytest.raises(DataError, match="line 2, column 'a': 'x' is no finite number"):
        read_data(write(tmp_path, "a,b,c\nx,1,2\n"), Reading(answer=("a", "b")))
