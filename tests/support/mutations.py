"""Changes to inputs that keep their structure: a field, a value or some bytes, chosen by a seed."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import tomli_w
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto

from option_values import other_value
from rockpress.core.option_kinds import Flag
from rockpress.pipeline.options.option_table import options_of

NUMBERS = [0, 1, -1, 2, 7, 255, 2**31 - 1, -(2**31), 2**62, -(2**63)]
TEXTS = [
    "",
    "x",
    "x" * 5000,
    "a\nb",
    "../../a",
    "\ud83d".encode("utf-8", "replace").decode(),
    "é" * 300,
    "[red]",
    "\x1b[2J",
    "0",
    "nan",
]
VALUES: list[Any] = [*NUMBERS, *TEXTS, 1.5, 1e308, True, [], {}, [1, "x"], {"a": 1}, [[[]]]]

EXTREMES = [0.0, -0.0, 1e-45, 3e38, -3e38, float("nan"), float("inf")]
OPERATORS = ["Relu", "Exp", "Log", "Sqrt", "Softmax", "Identity", "Not", "Dropout", "MaxPool"]
OPERATORS += ["Conv", "Gemm", "MatMul", "Add", "Concat", "Shape", "ReduceMax", "GlobalAveragePool"]
FLOAT = TensorProto.FLOAT

Mutate = Callable[[bytes, random.Random], bytes]


def mutated_model(content: bytes, rng: random.Random) -> bytes:
    """Change an ONNX model: a field anywhere, or so that it may well be one that runs."""
    model = ModelProto.FromString(content)
    if rng.random() < 0.6 and model.graph.node:
        _change_plausibly(model, rng)
        return bytes(model.SerializePartialToString())
    message, field = rng.choice(_fields_of(model))
    if field.is_repeated:
        _change_repeated(getattr(message, field.name), field, rng)
    elif field.message_type or rng.random() < 0.2:
        message.ClearField(field.name)
    else:
        with suppress(ValueError):  # an enumeration without that number
            setattr(message, field.name, _other_value(getattr(message, field.name), rng))
    return bytes(model.SerializePartialToString())


def _change_plausibly(model: ModelProto, rng: random.Random) -> None:
    """Let a node do something else, an attribute be small, or weights be extreme."""
    node, change = rng.choice(model.graph.node), rng.randrange(3)
    integers = [each for each in node.attribute if each.ints or each.i]
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == FLOAT]
    if change == 0 and integers:
        attribute = rng.choice(integers)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.randrange(4)
        else:
            attribute.i = rng.randrange(4)
    elif change == 1 and weights:
        tensor = rng.choice(weights)
        value = struct.pack("<f", rng.choice(EXTREMES))
        places = range(0, len(tensor.raw_data), rng.choice([4, 4 * 7, 4 * 64]))
        content = bytearray(tensor.raw_data)
        for place in places:
            content[place : place + 4] = value
        tensor.raw_data = bytes(content[: len(tensor.raw_data)])
    else:
        node.op_type = rng.choice(OPERATORS)
        del node.attribute[:]


class _Field:
    """A field that is set, by its name; whether it is a list, and of messages."""

    def __init__(self, descriptor: Any, value: Any) -> None:
        self.name: str = descriptor.name
        self.is_repeated = hasattr(value, "append") or hasattr(value, "add")
        self.message_type = descriptor.message_type


def _fields_of(message: Message) -> list[tuple[Any, _Field]]:
    fields: list[tuple[Any, _Field]] = []
    for descriptor, value in message.ListFields():
        field = _Field(descriptor, value)
        fields.append((message, field))
        if field.message_type:
            for inner in value if field.is_repeated else [value]:
                fields += _fields_of(inner)
    return fields


def _change_repeated(values: Any, field: _Field, rng: random.Random) -> None:
    place = rng.randrange(len(values))
    change = rng.choice(["drop", "double", "swap", "other"])
    if change == "drop":
        del values[place]
    elif field.message_type:
        other = values[rng.randrange(len(values))]
        if change == "double":
            values.add().CopyFrom(other)
        else:
            values[place].CopyFrom(type(other).FromString(other.SerializePartialToString()))
    elif change == "other":
        values[place] = _other_value(values[place], rng)
    else:
        values.append(values[place])


def _other_value(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bytes):
        return mutated_bytes(value, rng)
    if isinstance(value, str):
        return rng.choice(TEXTS)
    if isinstance(value, float):
        return rng.choice([0.0, -1.0, 3e38, float("nan"), float("inf")])
    narrow = -(2**31) <= value < 2**31 and rng.random() < 0.7
    return rng.choice([number for number in NUMBERS if not narrow or abs(number) < 2**31])


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut the content short, double a part, or change some bytes."""
    if not content:
        return b"\xff"
    place = rng.randrange(len(content))
    change = rng.randrange(4)
    if change == 0:
        return content[:place]
    if change == 1:
        return content[:place] + content[max(0, place - 8) :]
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 4, 32])):
        changed[rng.randrange(len(changed))] = rng.choice([0, 255, rng.randrange(256)])
    return bytes(changed)


def mutated_json(content: bytes, rng: random.Random) -> bytes:
    """Change a value or a key somewhere in a JSON document, or its text."""
    return _mutated_document(content, rng, json.loads, lambda value: json.dumps(value).encode())


def mutated_trials(content: bytes, rng: random.Random) -> bytes:
    """Change a line in the file of a search, mostly with a checksum that fits, or its lines."""
    lines = content.split(b"\n")[:-1]
    place, kind = rng.randrange(len(lines)), rng.random()
    if kind < 0.7:
        text = mutated_json(lines[place].partition(b" ")[2], rng)
        lines[place] = b"%08x %s" % (zlib.crc32(text), text)
    elif kind < 0.8:
        lines.insert(rng.randrange(len(lines)), lines[place])
    else:
        return mutated_bytes(content, rng)
    return b"\n".join([*lines, b""])


def mutated_toml(content: bytes, rng: random.Random) -> bytes:
    """Change a value or a key somewhere in a TOML document, or its text."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    return _mutated_document(
        content, rng, lambda text: tomllib.loads(text.decode()), lambda v: tomli_w.dumps(v).encode()
    )


def _mutated_document(
    content: bytes,
    rng: random.Random,
    read: Callable[[bytes], Any],
    write: Callable[[Any], bytes],
) -> bytes:
    if rng.random() < 0.15:
        return mutated_bytes(content, rng)
    try:
        document = read(content)
        holder, key = rng.choice(_places_in(document))
        if rng.random() < 0.2:
            del holder[key]
        elif type(holder[key]) in (int, float) and rng.random() < 0.5:
            holder[key] = type(holder[key])(holder[key] * rng.choice([-1, 0.5, 0.99, 3]))
        else:
            holder[key] = rng.choice(VALUES)
        return write(document)
    except (ValueError, TypeError, IndexError, AttributeError):  # it is no document any more
        return mutated_bytes(content, rng)


def _places_in(value: Any) -> list[tuple[Any, Any]]:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [place for key in keys for place in [(value, key), *_places_in(value[key])]]


def mutated_words(content: bytes, rng: random.Random) -> bytes:
    """Drop or double a word of a command (a JSON list), change a value, or add an option."""
    words: list[str] = json.loads(content)
    verb, place = words[0], rng.randrange(len(words))
    change = rng.choice(["drop", "double", "value", "option", "option", "option"])
    if change == "drop" and place and words[place - 1] != "-o":
        del words[place]
    elif change == "double":
        words.insert(place or 1, words[place])
    elif change == "value" and place and words[place - 1] != "-o":
        words[place] = _word(rng.choice(VALUES))
    else:
        described = rng.choice(options_of(verb))
        words.append(f"--{described.flag}")
        if not isinstance(described.kind, Flag):
            words.append(_word(rng.choice([*VALUES, other_value(described, None)])))
    return json.dumps(words).encode()


def _word(value: Any) -> str:
    """Return a value as it is typed."""
    if isinstance(value, dict):
        return ",".join(f"{key}={_word(each)}" for key, each in value.items())
    return ",".join(map(_word, value)) if isinstance(value, list) else str(value)


def mutated_npz(content: bytes, rng: random.Random) -> bytes:
    """Change an array in an archive: its header, its data or its name."""
    if rng.random() < 0.15:
        return mutated_bytes(content, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        return mutated_bytes(content, rng)
    if not members:
        return mutated_bytes(content, rng)
    name = rng.choice(sorted(members))
    array = members.pop(name)
    if rng.random() < 0.8:
        members[rng.choice([name, name, name, "labels.npy", "x.npy"])] = mutated_npy(array, rng)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for own, member in members.items():
            archive.writestr(own, member)
    return written.getvalue()


def mutated_npy(content: bytes, rng: random.Random) -> bytes:
    """Let the header of a .npy say another type or shape, or change its bytes."""
    if rng.random() < 0.3 or content[:6] != b"\x93NUMPY":
        return mutated_bytes(content, rng)
    (length,) = struct.unpack("<H", content[8:10])
    kind = rng.choice(["<f4", "|u1", "<i8", "|O", "<U3", "<f2", "<c8", "|b1", "<M8[s]", ">f8"])
    shape = tuple(rng.choice([0, 1, 3, 28, -1, 10**9, 2**62]) for _ in range(rng.randrange(5)))
    text = f"{{'descr': '{kind}', 'fortran_order': {rng.random() < 0.3}, 'shape': {shape}, }}\n"
    return content[:8] + struct.pack("<H", len(text)) + text.encode() + content[10 + length :]
