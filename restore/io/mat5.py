"""A look through a MATLAB 5 file before scipy reads it: its reader trusts the types it finds.

The layout is that of "MAT-File Format" (MathWorks), chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

_HEADER = 128
_INT32, _MATRIX, _COMPRESSED = 5, 14, 15
_NUMBERS = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13})
_TEXT = frozenset({16, 17, 18})
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_CELL, _STRUCT, _CHAR, _FIRST_NUMBER, _LAST_NUMBER = 1, 2, 4, 6, 15
# Strings, tables and whatever else MATLAB keeps to itself: these have no dimensions.
_OPAQUE = 17
_COMPLEX = 0x0800
_DEEPEST = 16


class _Unread(Exception):
    """An array of a class that is never read: sparse, opaque, an object, a function."""


def check_mat5(data: bytes) -> list[str]:
    """Refuses a file whose elements have unknown types, pass their ends or lie too deep.

    Returns:
        The names of its arrays of numbers, text, cells and structures; the others are to be left.

    Raises:
        ValueError: likewise, in one line.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("no MATLAB 5 header")
    names = []
    for kind, body in _elements(data, order):
        if kind == _COMPRESSED:
            kind, body, _ = _element(_unpacked(body, order), 0, order)
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind}")
        with suppress(_Unread):
            names.append(_check_matrix(body, order, 0))
    return names


def promised_by_mat5(data: bytes) -> int:
    """Bytes of all elements, the compressed ones as their own tags promise.

    Raises:
        ValueError: of a file whose elements pass its end.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128], "<")
    promised = 0
    for kind, body in _elements(data, order):
        promised += len(body)
        if kind == _COMPRESSED:
            promised += _promised_unpacked(body, order)
    return promised


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of every element of a file."""
    at = _HEADER
    while at < len(data):
        kind, body, end = _element(data, at, order)
        # Compressed elements are not padded.
        at = end if kind == _COMPRESSED else _padded(end)
        yield kind, body


def _promised_unpacked(body: bytes, order: str) -> int:
    tag = _decompressed(zlib.decompressobj(), body, 8)
    return int(struct.unpack(order + "LL", tag)[1]) if len(tag) == 8 else 0


def _unpacked(body: bytes, order: str) -> bytes:
    """A compressed element, of which no more is unpacked than its tag promises."""
    promised = 8 + _promised_unpacked(body, order)
    unpacker = zlib.decompressobj()
    content = _decompressed(unpacker, body, promised)
    if _decompressed(unpacker, unpacker.unconsumed_tail, 1):
        raise ValueError(f"compressed data of more than the {promised} bytes they promise")
    if not unpacker.eof:
        raise ValueError("damaged compressed data (cut)")
    return content


def _decompressed(unpacker: zlib._Decompress, body: bytes, most: int) -> bytes:
    try:
        return unpacker.decompress(body, most)
    except zlib.error as error:
        raise ValueError(f"damaged compressed data ({error})") from error


def _element(data: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Type, content and end of an element."""
    if at + 8 > len(data):
        raise ValueError("cut in an element's tag")
    kind, size = struct.unpack_from(order + "LL", data, at)
    begin = at + 8
    if kind >> 16:  # up to four bytes within the tag
        kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
    end = begin + size
    if end > len(data):
        raise ValueError(f"an element of {size} bytes, of which {len(data) - begin} are there")
    return kind, data[begin:end], end


def _padded(end: int) -> int:
    return -(-end // 8) * 8


def _check_matrix(body: bytes, order: str, depth: int) -> str:
    """Returns its name."""
    if depth > _DEEPEST:
        raise ValueError(f"arrays within arrays, more than {_DEEPEST} deep")
    if not body:  # an empty field
        return ""
    parts = []
    at = 0
    while at < len(body):
        kind, content, end = _element(body, at, order)
        parts.append((kind, content))
        at = _padded(end)
    if len(parts) < 3 or parts[0][0] != 6 or len(parts[0][1]) != 8:
        raise ValueError("an array without flags")
    (flags,) = struct.unpack_from(order + "L", parts[0][1])
    what = flags & 0xFF
    if what == _OPAQUE:
        raise _Unread
    if parts[1][0] != _INT32:
        raise ValueError("an array without dimensions")
    sides = struct.unpack(
        f"{order}{len(parts[1][1]) // 4}l", parts[1][1][: len(parts[1][1]) // 4 * 4]
    )
    if not 2 <= len(sides) <= 32 or min(sides) < 0 or parts[2][0] != 1:
        raise ValueError(f"an array of dimensions {list(sides)}")
    count, rest = math.prod(sides), parts[3:]
    if _FIRST_NUMBER <= what <= _LAST_NUMBER:
        wanted = 2 if flags & _COMPLEX else 1
        if len(rest) != wanted:
            raise ValueError(f"{len(rest)} parts of an array, expected {wanted}")
        for kind, content in rest:
            if kind not in _NUMBERS or len(content) != count * _SIZES[kind]:
                raise ValueError(f"{len(content)} bytes of type {kind} for {count} numbers")
    elif what == _CHAR:
        if any(kind not in _NUMBERS | _TEXT for kind, _ in rest):
            raise ValueError("text of an unknown type")
    elif what in (_CELL, _STRUCT):
        fields = 1
        if what == _STRUCT:
            if len(rest) < 2 or (rest[0][0], rest[1][0]) != (_INT32, 1) or len(rest[0][1]) != 4:
                raise ValueError("a structure without names")
            (length,) = struct.unpack(order + "l", rest[0][1])
            if length < 1 or len(rest[1][1]) % length:
                raise ValueError(f"names of {length} characters")
            fields, rest = len(rest[1][1]) // length, rest[2:]
        if len(rest) != count * fields or any(kind != _MATRIX for kind, _ in rest):
            raise ValueError(f"{len(rest)} elements, expected {count * fields}")
        for _, content in rest:
            _check_matrix(content, order, depth + 1)
    else:
        raise _Unread
    return parts[2][1].decode("latin-1")
