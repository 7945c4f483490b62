"""Read .npy and .npz files that nobody has checked yet: sizes first, then the data, no pickle."""

from __future__ import annotations

import io
import math
import sys
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...core.errors import SamplesError
from ...core.types import Array
from ..images.decode import DECODE_ERRORS

# NumPy's own stubs leave the functions of this documented module untyped
_format: Any = np.lib.format

# A .npy is only mapped, never loaded: this bounds the address space and catches absurd headers.
MAX_MAPPED_BYTES = 64 * 2**30
# An .npz must be unpacked into memory; more than this belongs into a .npy or into image files.
MAX_LOADED_BYTES = 8 * 2**30
# The only array that may hold texts.
LABELS = "labels"
# A header says type, order and shape: about a hundred bytes.
_HEADER_BYTES = 4096
# half of a character in UTF-16
_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF

# a header that does not end is TokenError
_READ_ERRORS = (*DECODE_ERRORS, zipfile.BadZipFile, tokenize.TokenError)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    @property
    def data_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(path: Path) -> Array:
    """Map a .npy file, read-only. Raises SamplesError when it is corrupt, too large or pickled."""
    _require_file(path)
    try:
        with path.open("rb") as file:
            header = _read_header(file, str(path))
        _check_data(header, path.stat().st_size, MAX_MAPPED_BYTES, str(path))
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _READ_ERRORS as error:
        raise _corrupt(path, error) from error
    return array


def read_npz(path: Path) -> dict[str, Array]:
    """Load every array of an .npz file; name -> array.

    Sizes are checked before anything is unpacked. Raises SamplesError when the file is corrupt,
    too large (a zip bomb) or pickled.
    """
    _require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            _check_members(archive, members, path)
            return {_array_name(member): _load(archive, member) for member in members}
    except _READ_ERRORS as error:
        raise _corrupt(path, error) from error


def _check_members(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], path: Path) -> None:
    # zipfile never unpacks more of a member than its file_size says, so a false one cannot hurt
    total = sum(member.file_size for member in members)
    if total > MAX_LOADED_BYTES:
        raise _too_large(str(path), total, MAX_LOADED_BYTES)
    for member in members:
        where = f"{path}: array {_array_name(member)!r}"
        with archive.open(member) as file:
            header = _read_header(file, where, texts=member.filename == f"{LABELS}.npy")
        _check_data(header, member.file_size, MAX_LOADED_BYTES, where)


def _array_name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as file:
        array: Array = _format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.dtype.itemsize:
        _require_unicode(array)
    return array


def _require_unicode(texts: Array) -> None:
    """Raise ValueError for numbers that no character has, at which Python fails otherwise."""
    codes = np.ravel(texts).view(f"{texts.dtype.byteorder}u4")
    surrogates = (codes >= _FIRST_SURROGATE) & (codes <= _LAST_SURROGATE)
    if (codes > sys.maxunicode).any() or surrogates.any():
        raise ValueError("it holds texts that are not Unicode")


def _read_header(file: IO[bytes], where: str, texts: bool = False) -> _Header:
    head = io.BytesIO(file.read(_HEADER_BYTES))
    version = _format.read_magic(head)
    if version == (1, 0):
        shape, _, dtype = _format.read_array_header_1_0(head)
    elif version == (2, 0):
        shape, _, dtype = _format.read_array_header_2_0(head)
    else:
        raise ValueError(f"version {version} of the .npy format is for structured arrays")
    if dtype.hasobject or dtype.kind not in ("uifbU" if texts else "uifb"):
        raise SamplesError(
            f"{where}: the type {dtype} is not a number",
            "save plain numbers; Python objects (pickle) are never loaded",
        )
    return _Header(shape, dtype, head.tell())


def _check_data(header: _Header, file_bytes: int, limit: int, where: str) -> None:
    if any(length < 0 for length in header.shape):
        raise ValueError(f"negative length in the shape {header.shape}")
    if 0 in header.shape:
        raise SamplesError(f"{where}: the array of shape {header.shape} is empty", "save it again")
    if header.data_bytes > limit:
        raise _too_large(where, header.data_bytes, limit)
    if header.data_bytes > file_bytes - header.offset:
        raise ValueError(
            f"{file_bytes - header.offset} bytes of data where the shape {header.shape} "
            f"needs {header.data_bytes}"
        )


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise SamplesError(f"{path}: there is no such array file", "check the path")


def _too_large(where: str, size: int, limit: int) -> SamplesError:
    return SamplesError(
        f"{where}: {size / 2**30:.1f} GB of arrays; the limit is {limit / 2**30:.0f} GB",
        "use fewer samples, or image files",
    )


def _corrupt(path: Path, error: BaseException) -> SamplesError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return SamplesError(f"{path}: the array file is corrupt: {reason}", "save it again with NumPy")
