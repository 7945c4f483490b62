"""The files of a search on another machine: what travels, what arrives, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import graphs
import samples
from rockpress.calibration_data.sources.open_source import open_source
from rockpress.core.errors import ModelError, OutputError, SamplesError
from rockpress.core.text_files import parse_toml
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.cluster import bundle as bundles
from rockpress.pipeline.cluster.bundle import Bundle, bundle_of, path_in_bundle
from rockpress.pipeline.cluster.bundle_store import BrokenBundle, BundleStore
from rockpress.pipeline.cluster.freight import brought_back, freight_of, moved
from rockpress.pipeline.cluster.sample_files import samples_bundle
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.search.points import Point
from rockpress.pipeline.search.trial_recipe import trial_recipe


def sent(bundle: Bundle, store: BundleStore) -> Path:
    """Send a bundle as a coordinator does; return the folder that it is in."""
    digest = bundle.contents.digest
    assert store.lacking({digest: bundle.contents}) == [digest]
    store.begin(bundle.contents)
    for number, part in enumerate(bundle.parts()):
        store.receive(digest, number, part)
    store.end(digest)
    assert store.lacking({digest: bundle.contents}) == []
    return store.files_of(digest)


def described(path: Path) -> list[object]:
    """Return what a set of samples is, but for where it lies."""
    source = open_source(path)
    labels = source.labels
    return [
        labels and [labels.kind, labels.names_digest()],
        *([source.content_digest(i), labels and labels.digest(i)] for i in range(len(source))),
    ]


def flat(folder: Path) -> Path:
    return samples.noise_images(folder / "flat", 3)


def classes(folder: Path) -> Path:
    (folder / "sorted" / "b").mkdir(parents=True)  # a class without an image counts too
    return samples.labelled_images(folder / "sorted", "ac", 2)


def objects(folder: Path) -> Path:
    images = samples.noise_images(folder / "objects" / "images", 3)
    (folder / "objects" / "labels").mkdir()
    (folder / "objects" / "labels" / "1.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    return images


def masks(folder: Path) -> Path:
    samples.noise_images(folder / "objects" / "images", 2)
    gray = [image[..., 0] for image in (samples.pixels(40, 36, 3), samples.pixels(40, 36, 3))]
    samples.save_images(folder / "objects" / "masks", gray)
    return folder / "objects"


def arrays(folder: Path) -> Path:
    folder.mkdir()
    return samples.save_feeds(folder / "feeds.npz", [{"x": samples.pixels(3, 4)}] * 2)


def relative_list(folder: Path) -> Path:
    flat(folder)
    (folder / "list.txt").write_text("# two\nflat/2.png\n\nflat/0.png\n")
    return folder / "list.txt"


def absolute_list(folder: Path) -> Path:
    images = flat(folder)
    (folder / "lists").mkdir()
    (folder / "lists" / "list.txt").write_text(f"{images}/1.png\n../flat/0.png\n")
    return folder / "lists" / "list.txt"


def absolute_table(folder: Path) -> Path:
    images = flat(folder)
    lines = ["path,label", f'"{images}/1.png","a, b"', f"{images}/0.png,c"]
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def table_of_masks(folder: Path) -> Path:
    images, labels = folder / "in", folder / "out"
    samples.noise_images(images, 2)
    samples.save_images(labels, [samples.pixels(40, 36)] * 2)
    lines = ["path,mask", *(f"{images}/{i}.png,{labels}/{i}.png" for i in range(2))]
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def folder_with_table(folder: Path) -> Path:
    images = flat(folder)
    (images / "labels.csv").write_text("path,label\n0.png,a\n2.png,b\n")
    return images


def coco(folder: Path, name: str = "{index}.png") -> Path:
    flat(folder)
    document = {
        "images": [{"id": i, "file_name": name.format(index=i)} for i in range(2)],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "flat" / "coco.json").write_text(json.dumps(document))
    return folder / "flat" / "coco.json"


KINDS = [
    *(flat, classes, objects, masks, arrays, relative_list, absolute_list, absolute_table),
    *(table_of_masks, folder_with_table, coco),
]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_each_kind_are_the_same_elsewhere(
    kind: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = kind(tmp_path / "here")
    before = described(path)
    root = sent(samples_bundle(path), BundleStore(tmp_path / "cache"))
    shutil.rmtree(tmp_path / "here")
    assert described(root / path_in_bundle(path)) == before


def test_nothing_but_the_samples_travels(tmp_path: Path) -> None:
    images = classes(tmp_path)
    (images / "notes.pdf").write_bytes(b"x" * 9)
    (images / ".git").mkdir()
    (images / ".git" / "config").write_text("secret")
    names = {Path(file.path).name for file in samples_bundle(images).contents.files}
    assert names == {"0.png", "1.png"}


def test_a_coco_file_with_absolute_names_is_refused(tmp_path: Path) -> None:
    file = coco(tmp_path, str(tmp_path / "flat" / "{index}.png"))
    with pytest.raises(SamplesError, match="absolute paths"):
        samples_bundle(file)


def test_many_small_files_go_in_one_message_and_a_large_one_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "PART_BYTES", 1000)
    small = {tmp_path / f"{index}": bytes([index]) * 90 for index in range(30)}
    large = {tmp_path / "large": b"y" * 2500, tmp_path / "none": b""}
    for path, content in (small | large).items():
        path.write_bytes(content)
    bundle = bundle_of(dict.fromkeys(small | large))
    parts = list(bundle.parts())
    assert 6 <= len(parts) <= 8
    assert max(sum(len(piece) for _, piece in part) for part in parts) <= 1000
    root = sent(bundle, BundleStore(tmp_path / "cache"))
    for path, content in (small | large).items():
        assert (root / path_in_bundle(path)).read_bytes() == content


def test_a_model_with_external_data_travels_as_a_whole(tmp_path: Path) -> None:
    import onnx

    file = tmp_path / "m.onnx"
    onnx.save(
        graphs.small_cnn(), file, save_as_external_data=True, location="m.data", size_threshold=0
    )
    root = sent(freight_of(make_recipe(file)).bundles[0], BundleStore(tmp_path / "cache"))
    assert sorted(os.listdir(root / path_in_bundle(tmp_path))) == ["m.data", "m.onnx"]


def test_the_recipe_of_a_trial_reads_what_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.onnx").write_bytes(graphs.small_cnn().SerializeToString())
    images = flat(tmp_path)
    (tmp_path / "charset.txt").write_text("a\nb\n")
    monkeypatch.chdir(tmp_path)
    recipe = make_recipe(
        Path("m.onnx"), calib=images, metric="text", metric_option={"charset": "charset.txt"}
    )
    freight = freight_of(recipe)
    store = BundleStore(tmp_path / "cache")
    roots = {bundle.contents.digest: sent(bundle, store) for bundle in freight.bundles}
    places = {path: roots[digest] for path, digest in freight.places.items()}
    text = trial_recipe(recipe, Point.of({"scheme": "w8a8"}), {})
    there = moved(parse_toml(text), places)
    paths = [there["model"], there["calib"], there["metric-option"]["charset"]]
    assert all(Path(path).exists() and str(tmp_path / "cache") in path for path in paths)
    assert there["scheme"] == "w8a8"
    said = json.dumps({"model": there["model"], "scheme": "w8a8"})
    back = json.loads(brought_back(said, list(roots.values())))
    assert back == {"model": str(tmp_path / "m.onnx"), "scheme": "w8a8"}


def test_a_measured_model_is_moved_with_its_time() -> None:
    places = {"/a/old.rknn": Path("/cache/x")}
    assert moved({"measured": ["/a/old.rknn=3.5", "b=2"]}, places) == {
        "measured": ["/cache/x/a/old.rknn=3.5", "b=2"]
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    return bundle_of({tmp_path / "a": None, tmp_path / "b": None})


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "cache")


def test_what_has_changed_meanwhile_is_not_taken(
    bundle: Bundle, store: BundleStore, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"xyz")
    with pytest.raises(BrokenBundle, match="has changed meanwhile"):
        sent(bundle, store)
    assert store.lacking({bundle.contents.digest: bundle.contents})


@pytest.mark.parametrize("path", ["../a", "/etc/a", "a/../../b", "a//b", "", "a\0"])
def test_a_path_that_leads_elsewhere_is_not_taken(path: str, store: BundleStore) -> None:
    file = bundles.BundledFile(path, 0, "")
    with pytest.raises(BrokenBundle, match="leads elsewhere"):
        store.begin(bundles.Contents((file,)))


def test_parts_out_of_order_or_unannounced_are_not_taken(
    bundle: Bundle, store: BundleStore
) -> None:
    digest = bundle.contents.digest
    with pytest.raises(BrokenBundle, match="not expected"):
        store.receive(digest, 0, ())
    store.begin(bundle.contents)
    with pytest.raises(BrokenBundle, match="not expected"):
        store.receive(digest, 1, ())
    with pytest.raises(BrokenBundle, match="not announced"):
        store.receive(digest, 0, (("c", b""),))


def test_a_bundle_that_was_damaged_since_is_sent_again(
    bundle: Bundle, store: BundleStore, tmp_path: Path
) -> None:
    root = sent(bundle, store)
    (root / path_in_bundle(tmp_path / "a")).write_bytes(b"xyz")
    sent(bundle, BundleStore(store.folder))  # of another process, which looks at it first


def test_a_bundle_counts_as_the_caches_and_goes_with_it(bundle: Bundle, store: BundleStore) -> None:
    sent(bundle, store)
    (entry,) = Cache(store.folder).entries()
    assert entry.bytes >= 3
    Cache(store.folder).shrink(0, unused=0)
    assert store.lacking({bundle.contents.digest: bundle.contents})


def test_a_folder_of_somebody_else_is_not_written_to(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no cache of rockpress"):
        BundleStore(tmp_path).begin(bundle.contents)


def test_a_file_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gone: No such file"):
        bundle_of({tmp_path / "gone": None})
