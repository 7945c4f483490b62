from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rockpress.calibration_data.sources import label_texts
from rockpress.calibration_data.sources.label_texts import natural_key
from rockpress.calibration_data.sources.open_source import open_source
from rockpress.calibration_data.sources.source_types import ImageFiles, Source, TensorFiles
from rockpress.core.errors import SamplesError
from samples import refused


def save_images(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def names_of(source: Source) -> list[str]:
    assert isinstance(source, ImageFiles | TensorFiles)
    return [path.name for path in source.paths]


def labels_of(source: Source) -> list[int]:
    assert source.labels is not None
    assert source.labels.classes().dtype == np.int64
    return [int(label) for label in source.labels.classes()]


def test_a_flat_folder_is_unlabelled_and_sorted_as_a_person_counts(tmp_path: Path) -> None:
    save_images(tmp_path, "img10.png", "img9.PNG", "img1.jpg", ".hidden.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    source = open_source(tmp_path)
    assert names_of(source) == ["img1.jpg", "img9.PNG", "img10.png"]
    assert source.labels is None


def test_a_folder_of_folders_is_labelled_in_natural_sort_order(tmp_path: Path) -> None:
    save_images(tmp_path, "10/a.png", "9/b.png", "9/a.png", "2/c.png")
    source = open_source(tmp_path)
    assert names_of(source) == ["c.png", "a.png", "b.png", "a.png"]
    assert labels_of(source) == [0, 1, 1, 2]


def test_an_empty_class_folder_keeps_its_index(tmp_path: Path) -> None:
    save_images(tmp_path, "cat/a.png", "horse/b.png")
    (tmp_path / "dog").mkdir()
    (tmp_path / ".git").mkdir()
    assert labels_of(open_source(tmp_path)) == [0, 2]


def test_images_beside_class_folders_are_ambiguous(tmp_path: Path) -> None:
    save_images(tmp_path, "a.png", "cat/b.png")
    assert "1 images and also folders with images" in refused(tmp_path).message


def test_an_empty_folder_says_which_files_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    error = refused(tmp_path)
    assert "the folder holds no images" in error.message
    assert ".jpg" in error.hint


def test_a_folder_of_npy_files_holds_tensors(tmp_path: Path) -> None:
    for name in ("2.npy", "10.npy"):
        np.save(tmp_path / name, np.zeros(3, dtype=np.float32))
    source = open_source(tmp_path)
    assert isinstance(source, TensorFiles) and names_of(source) == ["2.npy", "10.npy"]


def test_a_uint8_npy_of_one_sample_is_ambiguous(tmp_path: Path) -> None:
    np.save(tmp_path / "2.npy", np.zeros((4, 4, 3), dtype=np.uint8))
    source = open_source(tmp_path)
    assert isinstance(source, TensorFiles)
    with pytest.raises(SamplesError, match=r"2\.npy: a \.npy of one sample holds uint8"):
        source.tensors(0)


def test_a_list_is_relative_to_its_folder(tmp_path: Path) -> None:
    save_images(tmp_path, "sub/a.png", "b.png")
    outside = tmp_path / "lists"
    outside.mkdir()
    text = f"\ufeff# comment\r\n../sub/a.png\r\n\r\n  {tmp_path / 'b.png'}  \r\n"
    source = open_source(write(outside, "dataset.txt", text))
    assert names_of(source) == ["a.png", "b.png"]
    assert source.labels is None


def test_a_listed_path_may_hold_spaces(tmp_path: Path) -> None:
    save_images(tmp_path, "my image.png")
    (tmp_path / "my").write_bytes(b"")
    assert names_of(open_source(write(tmp_path, "l.txt", "my image.png\n"))) == ["my image.png"]


def test_several_inputs_on_a_line_are_refused_with_a_way_out(tmp_path: Path) -> None:
    save_images(tmp_path, "a.png", "b.png")
    error = refused(write(tmp_path, "l.txt", "# two\na.png b.png\n"))
    assert "l.txt:2: several inputs on a line are not supported: 'a.png b.png'" in error.message
    assert ".npz" in error.hint


@pytest.mark.parametrize("entry", ["none.png", "no such file.png", "a\0b.png", "x" * 5000])
def test_a_missing_listed_file_is_named_with_its_line(tmp_path: Path, entry: str) -> None:
    save_images(tmp_path, "a.png")
    error = refused(write(tmp_path, "l.txt", f"a.png\n\n{entry}\n"))
    assert "l.txt:3: there is no file " in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_empty_list_is_refused(tmp_path: Path, text: str) -> None:
    assert "the list holds no files" in refused(write(tmp_path, "l.txt", text)).message


def test_a_list_of_images_and_tensors_is_refused(tmp_path: Path) -> None:
    save_images(tmp_path, "a.png")
    np.save(tmp_path / "b.npy", np.zeros(3))
    error = refused(write(tmp_path, "l.txt", "a.png\nb.npy\n"))
    assert "lists 1 .npy files among 2" in error.message


def test_a_binary_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes(b"\xff\xfe\x00\x80")
    assert "not a text file in UTF-8" in refused(path).message


def test_an_overlong_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_texts, "MAX_LIST_BYTES", 10)
    assert (
        "it has more than the 0 MB that are read"
        in refused(write(tmp_path, "l.txt", "a" * 11)).message
    )


def test_csv_with_integer_labels(tmp_path: Path) -> None:
    save_images(tmp_path, "a.png", "b, c.png")
    path = write(tmp_path, "x.csv", '\ufeffPath, Label\r\na.png, 7\r\n"b, c.png",0\r\n')
    source = open_source(path)
    assert names_of(source) == ["a.png", "b, c.png"]
    assert labels_of(source) == [7, 0]


def test_csv_with_text_labels_counts_in_natural_sort_order(tmp_path: Path) -> None:
    save_images(tmp_path, "a.png", "b.png", "c.png")
    path = write(tmp_path, "x.csv", "label,path\nn10,a.png\nn9,b.png\nn10,c.png\n")
    assert labels_of(open_source(path)) == [1, 0, 1]


def test_a_folder_with_labels_csv_is_what_the_table_says(tmp_path: Path) -> None:
    save_images(tmp_path, "a.png", "b.png", "cat/c.png")
    write(tmp_path, "labels.csv", "path,label\nb.png,1\ncat/c.png,0\n")
    source = open_source(tmp_path)
    assert names_of(source) == ["b.png", "c.png"] and labels_of(source) == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns are missing"),
        ("a.png,1\n", "the columns are a.png, 1"),
        ("path,label\n", "the table holds no samples"),
        ("path,label\na.png,1\nb.png,1\n", ":3: there is no file 'b.png'"),
        ("path,label\na.png,\n", ":2: the label is missing"),
        ("path,label\na.png\n", ":2: the label is missing"),
        (f"path,label\na.png,{'x' * 200_000}\n", "not a CSV table"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    save_images(tmp_path, "a.png")
    assert message in refused(write(tmp_path, "x.csv", text)).message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,-1\n", ":2: the label '-1' is not a non-negative integer"),
        ("path,label\na.png,1.5\n", ":2: the label '1.5' is not a non-negative integer"),
        ("path,label\na.png,1e3\n", ":2: the label '1e3' is not a non-negative integer"),
        ("path,label\na.png,1\na.png,cat\n", ":3: the label 'cat' is not a non-negative integer"),
        (f"path,label\na.png,{'9' * 30}\n", "is not a non-negative integer"),
    ],
)
def test_texts_that_are_no_classes_are_refused_as_such(
    tmp_path: Path, text: str, message: str
) -> None:
    save_images(tmp_path, "a.png")
    labels = open_source(write(tmp_path, "x.csv", text)).labels
    assert labels is not None
    with pytest.raises(SamplesError) as caught:
        labels.classes()
    assert message in caught.value.message


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert "the samples do not exist" in refused(tmp_path / "none").message


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a"])
def test_files_of_unknown_kinds_are_no_samples(tmp_path: Path, name: str) -> None:
    assert "not a kind of samples" in refused(write(tmp_path, name, "x")).message


@given(st.lists(st.text("aBé 0129²", max_size=8), max_size=12))
def test_natural_sort_is_one_order_for_any_arrangement(texts: list[str]) -> None:
    assert sorted(texts, key=natural_key) == sorted(reversed(texts), key=natural_key)


@given(st.lists(st.integers(0, 10**30), max_size=12))
def test_natural_sort_counts(numbers: list[int]) -> None:
    names = sorted((f"img{number}.png" for number in numbers), key=natural_key)
    assert names == [f"img{number}.png" for number in sorted(numbers)]
