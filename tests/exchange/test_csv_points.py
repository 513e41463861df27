from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import csv_points
from napari_noisyseg.exchange.cells import cell, text_of


def table(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "Punkte ä.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        "x,y,class\n3,7.5,Tumor\n1e1,2,\n",
        "\ufeffx,y,class\r\n3,7.5,Tumor\r\n\r\n10,2,\r\n",
        "X; Y ;Class\n3;7.5;Tumor\n10;2;\n",
        "x\ty\tclass\n3\t7.5\tTumor\n10\t2\t",
        '"x","y","class"\n"3","7.5","Tumor"\n"10","2",""\n',
        "class,y,x\nTumor,7.5,3\n,2,10\n",
    ],
)
def test_tables_are_read(tmp_path: Path, content: str) -> None:
    read = csv_points.read(table(tmp_path, content))
    assert read.points.tolist() == [[7.5, 3], [2, 10]]
    assert read.classes == ["Tumor", None]
    assert read.lines[0] == 2


def test_the_class_may_be_left_out(tmp_path: Path) -> None:
    read = csv_points.read(table(tmp_path, "y,x\n1,2\n"))
    assert read.points.tolist() == [[1, 2]]
    assert read.classes == [None]


@pytest.mark.parametrize(
    "header",
    ["lon,lat", "x_um,y_um,id", "1.5,2.5", "x", "x,y,x", "x y", "a" * 1000, "x,y,class,class"],
)
def test_tables_without_the_columns_are_refused_by_name(tmp_path: Path, header: str) -> None:
    with pytest.raises(NoisySegError, match="line 1: the columns are") as caught:
        csv_points.read(table(tmp_path, f"{header}\n1,2\n"))
    assert header[:80] in str(caught.value)
    assert "x,y,class" in str(caught.value)


def test_other_columns_are_ignored(tmp_path: Path) -> None:
    rows = 'id;x;y;area_um2;note;note\n1;3;7.5;12.5;"a;\nb";\n2;10;2;;;c\n'
    read = csv_points.read(table(tmp_path, rows))
    assert read.points.tolist() == [[7.5, 3], [2, 10]]
    assert read.classes == [None, None]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("nan,2", "x, y are nan, 2"),
        ("1,inf", "x, y are 1, inf"),
        ("one,2", "no numbers"),
        ("1;2", "1 values instead of 2"),
        ("1,", "no numbers"),
        ("1,2,3", "3 values instead of 2"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(NoisySegError, match=f"line 3: .*{said}"):
        csv_points.read(table(tmp_path, f"x,y\n1,2\n{row}\n5,6\n"))


def test_many_wrong_rows_are_counted(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"line 2: .*line 6: .*and 3 more"):
        csv_points.read(table(tmp_path, "x,y\n" + "a,b\n" * 8))


@pytest.mark.parametrize("content", ["", "x,y\n", "x,y,class\n\n \n", b"x,y\n1,\xff\n", b"\0\0\0"])
def test_files_without_points_are_refused(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(NoisySegError, match=r"Punkte ä\.csv"):
        csv_points.read(table(tmp_path, content))


def test_a_nul_byte_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match="line 3"):
        csv_points.read(table(tmp_path, "x,y\n1,2\n3,\0\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"there is no file .*gone\.csv"):
        csv_points.read(tmp_path / "gone.csv")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-x", "@a", " =1", "Tumor", "a=b", "'x"])
def test_a_class_that_was_written_as_text_is_read_as_it_was(tmp_path: Path, name: str) -> None:
    written = cell(name)
    assert not written.lstrip(" ").startswith(("=", "+", "-", "@"))
    rows = f'x,y,class\n1,2,"{written}"\n'
    assert csv_points.read(table(tmp_path, rows)).classes == [name.strip()]


@given(st.text())
def test_cells_are_undone(name: str) -> None:
    assert text_of(cell(name)) == name


def test_rows_are_counted_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_points, "MAX_POINTS", 3)
    for row in ("1,1\n", "x,y\n"):
        with pytest.raises(NoisySegError, match="more than 3 rows"):
            csv_points.read(table(tmp_path, "x,y\n" + row * 4))
