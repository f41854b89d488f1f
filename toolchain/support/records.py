"""Our frozen records from JSON that may come from anywhere, and back."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from toolchain.support.errors import ToolchainError

Record = TypeVar("Record")


def parse(kind: type[Record], value: Any) -> Record:
    """`value`, as `json.loads` gives it, as the dataclass `kind`.

    Every field must have the type that its annotation says: text, whole and finite numbers, truth
    values, enumerations, paths, lists for tuples, and records within records.

    Raises:
        ValueError: something has another type, is missing, or is not known; it is named.
    """
    record: Record = _parse(kind, value, "the record")
    return record


def from_json(kind: type[Record], text: str | bytes) -> Record:
    """The record that the JSON `text` holds.

    Raises:
        ValueError: it is no JSON, or as `parse`.
    """
    return parse(kind, _loads(text))


def read_versioned(kind: type[Record], text: str | bytes, schema: int) -> Record:
    """The record that the JSON `text` holds beside a field `schema`, which must not be newer than
    ours.

    Raises:
        ToolchainError: a newer toolchain wrote it.
        ValueError: as `from_json`.
    """
    return parse_versioned(kind, _loads(text), schema)


def parse_versioned(kind: type[Record], value: Any, schema: int) -> Record:
    """`read_versioned` for what `json.loads` gave.

    Raises:
        ToolchainError: a newer toolchain wrote it.
        ValueError: as `parse`.
    """
    _demand(isinstance(value, dict), "the record", "an object")
    found = _parse_scalar(int, value.get("schema"), "schema")
    if found > schema:
        raise ToolchainError("This was made by a newer toolchain. Update the toolchain to read it.")
    _demand(found >= 1, "schema", "at least 1")
    return parse(kind, {key: item for key, item in value.items() if key != "schema"})


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _parse(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _parse_fields(kind, value, where)
    arguments = get_args(kind)
    if get_origin(kind) is UnionType:  # the only unions here are `something | None`
        (other,) = (each for each in arguments if each is not NoneType)
        return None if value is None else _parse(other, value, where)
    if get_origin(kind) is dict:
        _demand(isinstance(value, dict), where, "an object")
        return {
            _parse(arguments[0], key, where): _parse(arguments[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    if get_origin(kind) is tuple:
        return _parse_tuple(arguments, value, where)
    if issubclass(kind, Enum):
        return kind(value)
    if issubclass(kind, Path):
        return kind(_parse_scalar(str, value, where))
    return _parse_scalar(kind, value, where)


def _parse_fields(kind: Any, value: Any, where: str) -> Any:
    _demand(isinstance(value, dict), where, "an object")
    hints = get_type_hints(kind)
    for unknown in set(value) - set(hints):
        _demand(False, where, f"without the field {unknown!a}")
    try:
        return kind(**{key: _parse(hints[key], item, key) for key, item in value.items()})
    except TypeError as error:  # a field without a default is missing
        raise ValueError(f"{where}: {error}") from error


def _parse_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _demand(isinstance(value, list), where, "a list")
    if arguments[-1] is Ellipsis:
        return tuple(_parse(arguments[0], item, where) for item in value)
    _demand(len(value) == len(arguments), where, f"{len(arguments)} values")
    return tuple(_parse(each, item, where) for each, item in zip(arguments, value, strict=True))


def _parse_scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _demand(number and abs(value) <= sys.float_info.max, where, "a finite number")
    elif kind is int:
        _demand(isinstance(value, int) and not isinstance(value, bool), where, "a whole number")
    else:
        _demand(isinstance(value, kind), where, kind.__name__)
    if kind is str:
        value.encode()  # a lone surrogate could never be written again
    return value


def _demand(holds: bool, where: str, expected: str) -> None:
    if not holds:
        raise ValueError(f"{where} should be {expected}")


def plain(value: Any) -> Any:
    """A record, or a list or mapping of records, as what `json.dumps` takes.

    Numbers that are not finite become null: JSON has no word for them.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_json(value: Any) -> str:
    """Records as indented JSON, for people and programs."""
    return json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n"
