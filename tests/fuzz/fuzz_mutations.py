"""How a file is damaged: anywhere, or in what its format gives a meaning to."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

_EXTREMES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFDC, 0xFFFF)
_EXTREMES_32 = (*_EXTREMES, 65500, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_TIFF_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 338, 339, 347)

Mutation = Callable[[random.Random, bytes, list[bytes]], bytes]


def mutated(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """The file with one to four kinds of damage, half of them by its format's structure."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        structured = _structured(data)
        if structured is not None and rng.random() < 0.5:
            damaged = structured(rng, data, others)
        else:
            damaged = rng.choice(_ANYWHERE)(rng, data, others)
        data = damaged or data[:1]
    return data


def _structured(data: bytes) -> Mutation | None:
    if data.startswith(b"\x89PNG"):
        return _png
    if data.startswith(b"\xff\xd8"):
        return _jpeg
    if data[:4] in (b"II\x2a\0", b"MM\0\x2a"):
        return _tiff
    if data.startswith(b"\x93NUMPY"):
        return _npy
    return None


def _place(rng: random.Random, data: bytes) -> int:
    """A position, more often in the header."""
    return rng.randrange(min(len(data), 64 if rng.random() < 0.4 else len(data)) or 1)


def _flip(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 16))):
        changed[_place(rng, data)] = rng.randrange(256)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _insert(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 7, 64))) + data[at:]


def _remove(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 8, 64)) :]


def _repeat(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    at = _place(rng, data)
    end = at + rng.choice((4, 32, 256))
    return data[:end] + data[at:]


def _number(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    size, order = rng.choice(("H", "L")), rng.choice("<>")
    value = rng.choice(_EXTREMES if size == "H" else _EXTREMES_32)
    at = _place(rng, data)
    packed = struct.pack(order + size, value)
    return data[:at] + packed + data[at + len(packed) :]


def _splice(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


_ANYWHERE: tuple[Mutation, ...] = (_flip, _flip, _cut, _insert, _remove, _repeat, _number, _splice)


def _png(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One chunk changed, its checksum corrected, or chunks removed, doubled or exchanged."""
    chunks = []
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">L", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return _flip(rng, data, others)
    which = rng.randrange(len(chunks))
    name, body = chunks[which]
    how = rng.randrange(6)
    if name == b"IHDR" and how < 4 and len(body) == 13:
        fields = list(struct.unpack(">LLBBBBB", body))
        at = rng.randrange(7)
        fields[at] = rng.choice(_EXTREMES_32) if at < 2 else rng.choice((0, 1, 2, 3, 4, 6, 16, 255))
        chunks[which] = (name, struct.pack(">LLBBBBB", *fields))
    elif name == b"IDAT" and how < 3:
        raw = rng.randbytes(rng.choice((0, 10, 1000, 100_000)))
        chunks[which] = (name, zlib.compress(raw))
    elif how < 3 and body:
        chunks[which] = (name, rng.choice((_flip, _cut, _number, _insert))(rng, body, others))
    elif how == 3:
        del chunks[which]
    elif how == 4:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[which])
    else:
        kinds = (b"tRNS", b"PLTE", b"acTL", b"fcTL", b"iCCP", b"eXIf", b"zTXt", b"iTXt", b"pHYs")
        chunks.insert(which, (rng.choice(kinds), rng.randbytes(rng.choice((0, 3, 9, 26, 100)))))
    return data[:8] + b"".join(
        struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))
        for name, body in chunks
    )


def _jpeg(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One segment changed, removed, doubled or given another marker, or a marker in the scan."""
    starts = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        length = struct.unpack_from(">H", data, at + 2)[0]
        starts.append((at, at + 2 + length))
        if data[at + 1] == 0xDA:
            break
        at += 2 + length
    if not starts:
        return _flip(rng, data, others)
    begin, end = rng.choice(starts)
    marker, segment = data[begin + 1], bytearray(data[begin:end])
    how = rng.randrange(7)
    if marker in (0xC0, 0xC1, 0xC2) and how < 4 and len(segment) > 9:
        if rng.random() < 0.4:
            struct.pack_into(">H", segment, rng.choice((5, 7)), rng.choice((*_EXTREMES, 65500)))
        else:
            segment[rng.randrange(4, len(segment))] = rng.choice((0, 1, 2, 3, 4, 0x12, 0x41, 255))
    elif how < 3 and len(segment) > 4:
        segment[rng.randrange(4, len(segment))] = rng.choice((0, 1, 0x10, 0x7F, 0xFF))
    elif how == 3:
        segment = bytearray()
    elif how == 4:
        segment *= 2
    elif how == 5:
        segment[1] = rng.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xCA, 0xDB, 0xDD, 0xE1, 0xEE))
    else:
        at = rng.randrange(begin, len(data))
        added = bytes((0xFF, rng.choice((0xD0, 0xD7, 0xD8, 0xD9, 0xDA, 0xDC, 0xFF, 0xC4))))
        return data[:at] + added + data[at:]
    return data[:begin] + bytes(segment) + data[end:]


def _tiff(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One entry of the first directory gets another tag, type, count or value; or a loop."""
    order = "<" if data[:2] == b"II" else ">"
    changed = bytearray(data)
    try:
        (start,) = struct.unpack_from(order + "L", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        entry = start + 2 + 12 * rng.randrange(count or 1)
        how = rng.randrange(6)
        if how == 0:
            struct.pack_into(order + "H", changed, entry, rng.choice(_TIFF_TAGS))
        elif how == 1:
            struct.pack_into(order + "H", changed, entry + 2, rng.randrange(14))
        elif how == 2:
            struct.pack_into(order + "L", changed, entry + 4, rng.choice(_EXTREMES_32))
        elif how == 3:
            struct.pack_into(order + "L", changed, start + 2 + 12 * count, start)
        else:
            struct.pack_into(order + "L", changed, entry + 8, rng.choice(_EXTREMES_32))
    except struct.error:
        return _flip(rng, data, others)
    return bytes(changed)


def _npy(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Another type or shape in the header."""
    types = (b"'|O'", b"'<c8'", b"'|S9'", b"'<M8[s]'", b"'<f2'", b"[('a','<f4')]", b"'?'", b"'<f8'")
    shapes = (
        *(b"(-1, 4)", b"(99999999, 99999999)", b"()", b"(0, 3)", b"(13,)", b"(10**9,)"),
        *(b"(" * 300, b"(9999999999999999999999,)", b"(65536, 65536)", b"None"),
    )
    size = 10 + struct.unpack_from("<H", data, 8)[0] if len(data) > 10 else len(data)
    header, rest = data[10:size], data[size:]
    first, *_ = header.split(b"'fortran_order'")
    text = first if rng.random() < 0.5 else b"{'descr': " + rng.choice(types) + b", "
    text += b"'fortran_order': " + rng.choice((b"False", b"True")) + b", 'shape': "
    text += rng.choice(shapes) + b", }"
    text = text.ljust(117) + b"\n"
    return data[:8] + struct.pack("<H", len(text)) + text + rest
