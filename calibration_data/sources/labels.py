"""The ground truth of samples: one value for the labels of every task, read when asked for.

A set holds classes, texts, vectors, objects or masks; a metric asks for what it scores, and what
can be read as that is: the texts of a table as class names or as numbers, class indices as numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.diagnostics import option
from ...core.errors import SamplesError
from ..images.geometry import ImagePlacement
from .boxes import Boxes
from .label_texts import classes_of, vectors_of

ObjectKind = Literal["boxes", "keypoints", "rotated-boxes", "instance-masks"]
Kind = Literal["class", "text", "vector", "mask", ObjectKind]
Classes = NDArray[np.int64]

# what messages call labels of a kind, and where such labels may come from
_KINDS: Mapping[Kind, tuple[str, str]] = {
    "class": ("classes", "give a folder a class, a labels.csv, or an .npz with integer labels"),
    "text": (
        "texts",
        "give a labels.csv with the columns path,label, or an .npz with labels of text",
    ),
    "vector": ("numbers", "give an .npz with labels of floats, or a labels.csv with numbers"),
    "boxes": ("boxes", "give a COCO .json, or a folder with images/ and labels/ (YOLO text files)"),
    "keypoints": (
        "keypoints",
        "give a COCO .json with keypoints, or a folder with images/ and labels/ whose lines are "
        "class, box and keypoints",
    ),
    "rotated-boxes": (
        "rotated boxes",
        "give a folder with images/ and labels/ whose lines are class and four corners",
    ),
    "instance-masks": (
        "masks of instances",
        "give a COCO .json with segmentations, or a folder with images/ and labels/ whose lines "
        "are class and outline",
    ),
    "mask": ("masks", "give a folder with images/ and masks/ (PNG files of the same names)"),
}


# kinds whose labels are ``Boxes``, and the kinds that they can be read as beside their own; a COCO
# file with keypoints may have outlines too
_OBJECTS: Mapping[Kind, tuple[Kind, ...]] = {
    "boxes": (),
    "keypoints": ("boxes", "rotated-boxes", "instance-masks"),
    "rotated-boxes": ("boxes", "instance-masks"),
    "instance-masks": ("boxes", "rotated-boxes"),
}


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of N samples; ``labels[i]`` reads the label of one sample.

    ``values`` are those of the whole source: int64 (M,), float64 (M, D), texts, ``Boxes`` or
    masks (H, W), perhaps read from files one at a time. ``indices`` (N,) are the samples that were
    chosen. ``origin`` says where a label of the source is from. ``placement`` gives the way of a
    sample's image into the model's input, None where boxes and masks are in the input's pixels.
    ``is_by_name`` says that classes have the model's order instead of their source's.

    >>> labels = Labels("text", ("cat", "dog", "cat"))
    >>> labels[1], labels.take(np.array([0, 1])).classes().tolist()
    ('dog', [0, 1])
    """

    kind: Kind
    values: Sequence[Any] | NDArray[Any]
    indices: Classes | None = None
    names: tuple[str, ...] = ()
    origin: Callable[[int], str] = "label {}".format
    placement: Callable[[int], ImagePlacement] | None = None
    is_by_name: bool = False

    def __len__(self) -> int:
        return len(self.values) if self.indices is None else len(self.indices)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Any:
        source_index = self._source_index(index)
        value = self.values[source_index]
        if self.placement is not None and isinstance(value, Boxes):
            return value.placed(self.placement(source_index))
        if self.placement is not None and self.kind == "mask":
            return self.placement(source_index).mask(np.asarray(value))
        return value

    def source_of(self, index: int) -> str:
        """Return where the label of one sample is from."""
        return self.origin(self._source_index(index))

    def take(self, indices: Classes) -> Labels:
        """Return the labels at some indices (M,) of these."""
        chosen = indices if self.indices is None else self.indices[indices]
        return replace(self, indices=np.asarray(chosen, dtype=np.int64))

    @property
    def has_places(self) -> bool:
        """Whether the labels are places in an image, which move with it."""
        return self.kind in _OBJECTS or self.kind == "mask"

    def placed(self, placement: Callable[[int], ImagePlacement]) -> Labels:
        """Return boxes and masks in the pixels of the model's input, other labels as they are."""
        return replace(self, placement=placement) if self.has_places else self

    def require(self, kind: Kind) -> Any:
        """Return these labels read as labels of this kind: classes, texts, vectors or themselves.

        Raises SamplesError when they cannot be.
        """
        readers = {"class": self.classes, "text": self.texts, "vector": self.vectors}
        if kind in readers:
            return readers[kind]()
        if kind != self.kind and kind not in _OBJECTS.get(self.kind, ()):
            raise self._wrong_kind(kind)
        return self

    def classes(self) -> Classes:
        """Return class indices, int64 (N,); names count in natural order over the whole source."""
        if self.kind == "class":
            return self._chosen(np.asarray(self.values, dtype=np.int64))
        if self.kind == "text":
            return self._chosen(self._text_classes[0])
        raise self._wrong_kind("class")

    def class_names(self) -> tuple[str, ...]:
        """Return the name of each class, () where classes have none."""
        return self._text_classes[1] if self.kind == "text" else self.names

    def called(self, names: Sequence[str]) -> Labels:
        """Return labels whose classes have these names, where they have none of their own.

        >>> Labels("class", np.array([1]), names=()).called(["cat", "dog"]).class_names()
        ('cat', 'dog')
        """
        if self.names or self.kind in ("text", "vector"):
            return self
        return replace(self, names=tuple(names))

    def texts(self) -> list[str]:
        """Return one text a sample: a table's own, or the name of a class that has one."""
        if self.kind == "text":
            return [str(value) for value in self]
        if self.kind == "class" and self.names:
            return [self.names[label] for label in self.classes()]
        raise self._wrong_kind("text")

    def vectors(self) -> NDArray[np.float64]:
        """Return numbers, float64 (N, D): a table's texts have spaces or commas between them."""
        if self.kind in ("class", "vector"):
            return self._chosen(
                np.asarray(self.values, dtype=np.float64).reshape(len(self.values), -1)
            )
        if self.kind == "text":
            return self._chosen(vectors_of(self.values, self.origin))
        raise self._wrong_kind("vector")

    def strata(self) -> Classes | None:
        """Return the strata (N,) of a choice of samples; None where there are no classes."""
        if self.kind not in ("class", "text"):
            return None
        try:
            classes = self.classes()
        except SamplesError:
            return None
        # texts that hardly repeat are lines to read, not names of classes
        repeated = 2 * len(set(classes.tolist())) <= len(classes)
        return classes if repeated or not self.class_names() or self.kind == "class" else None

    def digest(self, index: int) -> str:
        """Return the hex SHA-256 of the label of one sample, of the name of its class as well."""
        value = self.values[self._source_index(index)]
        if isinstance(value, Boxes):
            return value.digest()
        if self.kind == "class":
            name = self.names[int(value)] if int(value) < len(self.names) else None
            value = json.dumps([int(value), name])
        if isinstance(value, str):
            return hashlib.sha256(value.encode()).hexdigest()
        array = np.ascontiguousarray(value)
        return hashlib.sha256(
            f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()
        ).hexdigest()

    def names_digest(self) -> str:
        """Return the hex SHA-256 of the names of all classes, chosen or not.

        Which index a name gets depends on the others.
        """
        texts = {str(value) for value in self.values} if self.kind == "text" else ()
        return hashlib.sha256(json.dumps([self.names, sorted(texts)]).encode()).hexdigest()

    @cached_property
    def _text_classes(self) -> tuple[Classes, tuple[str, ...]]:
        return classes_of(self.values, self.origin)

    def _chosen(self, array: NDArray[Any]) -> NDArray[Any]:
        return array if self.indices is None else array[self.indices]

    def _source_index(self, index: int) -> int:
        return index if self.indices is None else int(self.indices[index])

    def _wrong_kind(self, kind: Kind) -> SamplesError:
        expected, hint = _KINDS[kind]
        return SamplesError(
            f"the labels are {_KINDS[self.kind][0]}, but the metric is for {expected}",
            f"{hint}; or choose another {option('metric')}",
        )
