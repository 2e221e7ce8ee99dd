"""The reader of CSV files: values by hand, and every way in which a cell can be wrong."""

import math

import pytest

from separation.config import ROOT
from separation.errors import RecipeError
from separation.tables import RESULTS, Column, read_table

COLUMNS = {
    "id": Column("name", unique=True),
    "file": Column("file"),
    "below": Column("below", required=False),
    "n": Column("count", minimum=1),
    "lr": Column("number", required=False, empty=True, minimum=0),
    "loss": Column("number", required=False, empty=True, infinite=True),
    "score_*": Column("number", required=False, empty=True),
    "sex": Column(required=False, empty=True, choices=("F", "M")),
}


@pytest.fixture
def read(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")

    def call(text, columns=COLUMNS):
        path = tmp_path / "t.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path, columns, "stage 9 makes it")

    return call


def test_values_have_their_types(read, tmp_path):
    table = read(
        "\ufeffid,file,n,lr,loss,score_a,note\r\n"
        'x,a.wav,3,1e-3,-inf,,"1,\r\n2"\r\n'
        "\r\n"
        f"007,{tmp_path}/a.wav,4.0,,inf,-.5,\r\n"
    )
    assert table["id"].tolist() == ["x", "007"]
    assert table["file"].tolist() == [str(tmp_path / "a.wav")] * 2
    assert table["n"].tolist() == [3, 4]
    assert table["n"].dtype == int
    assert table["lr"][0] == 0.001
    assert math.isnan(table["lr"][1])
    assert table["loss"].tolist() == [-math.inf, math.inf]
    assert math.isnan(table["score_a"][0])
    assert table["score_a"][1] == -0.5
    assert table["note"].tolist() == ["1,\r\n2", ""]


def test_a_table_without_rows_has_its_columns(read):
    table = read("id,file,n\n")
    assert table.empty
    assert list(table) == ["id", "file", "n"]


def test_lines_are_those_of_the_file(read):
    with pytest.raises(RecipeError, match=r"t.csv:5: column 'n': 'x' is not a whole number"):
        read('id,file,n,note\n\na,a.wav,1,"two\nlines"\nb,a.wav,x,\n')


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("id", "/tmp/x", "leads to another folder"),
        ("id", "../../x", "leads to another folder"),
        ("id", "a/b", "leads to another folder"),
        ("id", "..", "leads to another folder"),
        ("id", ".", "leads to another folder"),
        ("id", "a\tb", "has control characters"),
        ("id", "a\x1b[2Jb", "has control characters"),
        ("id", "a\x85b", "has control characters"),
        ("id", "", "is empty"),
        ("id", "ä" * 128, "is longer than 255 bytes"),
        ("file", "", "is empty"),
        ("file", "b.wav", "b.wav: no such file"),
        ("file", ".", "a folder, not a file"),
        ("file", "a.wav/b", "no such file"),
        ("file", "x" * 300, "file name too long"),
        ("below", "", "is empty"),
        ("below", "/etc/passwd", "leads out of"),
        ("below", "a/../../b", "leads out of"),
        *(
            ("n", cell, "is not a whole number of 1 or more")
            for cell in (
                "",
                "0",
                "-1",
                "1.5",
                "inf",
                "nan",
                "1e999",
                "1_0",
                "0x10",
                " 1",
                "٣",
                "1e16",
            )
        ),
        *(
            ("lr", cell, "is not a number of 0 or more")
            for cell in ("-0.1", "nan", "inf", "1e999", "fast")
        ),
        ("loss", "nan", "is not a number"),
        ("score_b", "inf", "is not a number"),
        ("sex", "X", "is not one of F, M"),
    ],
)
def test_a_bad_cell_is_named(read, column, cell, says):
    cells = {"id": "x", "file": "a.wav", "n": "1", column: cell}
    with pytest.raises(RecipeError, match=f"t.csv:2: column '{column}': .*{says}"):
        read(f"{','.join(cells)}\n{','.join(cells.values())}\n")


GOOD = "id,file,n\nx,a.wav,1\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "t.csv: is empty; stage 9"),
        ("\n\n", "t.csv: is empty; stage 9"),
        ("id,n\nx,1\n", "t.csv: column 'file' is missing; stage 9"),
        ("id,file,n,n\nx,a.wav,1,1\n", "t.csv: column 'n' is there twice"),
        (GOOD + "y,a.wav\n", "t.csv:3: 2 cells, but 3 columns"),
        (GOOD + "y,a.wav,1,1\n", "t.csv:3: 4 cells, but 3 columns"),
        (GOOD + "x,a.wav,2\n", "t.csv:3: column 'id': 'x' is there twice"),
        (GOOD.replace("x", "Zo\xeb").encode("latin-1"), "t.csv: not a text file in UTF-8"),
        (GOOD.encode("utf-16"), "t.csv: not a text file in UTF-8"),
        (GOOD.encode("utf-16-le"), "t.csv:1: not CSV: NUL byte"),
        (GOOD + "y\0,a.wav,1\n", "t.csv:3: not CSV: NUL byte"),
        (GOOD + f"{'y' * 200_000},a.wav,1\n", "t.csv:3: not CSV: field larger"),
        (GOOD + '"y,a.wav,1\n', "t.csv:3: not CSV: unexpected end of data"),
        (GOOD + '"y"z,a.wav,1\n', "t.csv:3: not CSV"),
    ],
)
def test_a_bad_file_is_named(read, content, says):
    with pytest.raises(RecipeError, match=says):
        read(content)


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("*.csv")), ids=lambda p: p.stem)
def test_results_of_the_repository_are_read(path):
    table = read_table(path, RESULTS)
    several = table["subset"] != "1 speaker"  # which cannot be improved
    assert table.loc[several, "si_sdri"].notna().all()


def test_scores_may_be_fewer_or_more(read):
    names = [name for name, column in RESULTS.items() if column.required]
    cells = dict.fromkeys(names, "1") | {"split": "tt", "estoi": "0.5"}
    text = f"{','.join(cells)}\n{','.join(cells.values())}\n"
    assert read(text, RESULTS)["estoi"].tolist() == [0.5]
