import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from restore.errors import InputError
from restore.io.arrays import read_array, read_arrays, write_array

VALUES = np.arange(12.0).reshape(3, 4) + 1j


def test_each_kind_gives_its_array(tmp_path):
    write_array(tmp_path / "a.npy", VALUES)
    np.savez_compressed(tmp_path / "a.npz", k=VALUES)
    scipy.io.savemat(tmp_path / "a.mat", {"k": VALUES, "s": {"inner": VALUES.real}})
    assert np.array_equal(read_array(tmp_path / "a.npy"), VALUES)
    assert np.array_equal(read_array(tmp_path / "a.npz"), VALUES)
    assert np.array_equal(read_array(tmp_path / "a.mat", "k"), VALUES)
    assert np.array_equal(read_array(tmp_path / "a.mat", "s.inner"), VALUES.real)


def element(kind: int, data: bytes) -> bytes:
    """Of a MATLAB 5 file."""
    return struct.pack("<LL", kind, len(data)) + data + bytes(-len(data) % 8)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("beside", ["sparse", "string", "in a structure"])
def test_what_is_no_array_beside_one_is_left_out(tmp_path, packed, beside):
    path = tmp_path / "a.mat"
    other = {"s": scipy.sparse.eye(3)} if beside == "sparse" else {}
    other = {"s": {"f": scipy.sparse.eye(3)}} if beside == "in a structure" else other
    scipy.io.savemat(path, other | {"k": VALUES}, do_compression=packed)
    if beside == "string":
        said = [(6, struct.pack("<LL", 17, 0)), *((1, text) for text in (b"s", b"MCOS", b"string"))]
        body = b"".join(element(*part) for part in said)
        whole = element(14, body + element(14, b""))
        if packed:
            whole = zlib.compress(whole)
            whole = struct.pack("<LL", 15, len(whole)) + whole
        content = path.read_bytes()
        path.write_bytes(content[:128] + whole + content[128:])
    assert list(read_arrays(path)) == ["k"]
    assert np.array_equal(read_array(path), VALUES)


def test_matlab_7_3_is_told_what_to_do(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    with pytest.raises(InputError, match=r"MATLAB 7\.3, which is HDF5; save it with -v7, expected"):
        read_array(tmp_path / "a.mat")


def test_compressed_data_that_are_cut(tmp_path):
    packed = zlib.compress(element(14, bytes(10**4)))[:-6]
    content = b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<LL", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"damaged compressed data .*, expected a whole \.mat"):
        read_array(tmp_path / "a.mat")


def test_several_arrays_need_a_key(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, one=VALUES, two=VALUES)
    with pytest.raises(InputError, match="2 arrays, expected one, or --key with one of one, two"):
        read_array(path)
    with pytest.raises(InputError, match="no array 'three', expected one of one, two"):
        read_array(path, "three")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", k=np.array([Trap()], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="Python objects, which are never read"):
            read_array(tmp_path / name)


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<c16", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    (tmp_path / "a.npy").write_bytes(stream.getvalue() + b"\0" * 64)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("k.npy", stream.getvalue() + b"\0" * 64)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="16000000000000 bytes are promised and"):
            read_array(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (), 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -2)}",
        "{'descr': '<f8', 'fortran_order': False",
    ],
)
def test_a_header_that_says_nothing(tmp_path, name, header):
    text = header.encode().ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("k.npy", content)
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: .*, expected a whole \.np. file of numbers"):
        read_array(tmp_path / name)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_damaged(tmp_path, packing):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(50, 50)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as archive:
        archive.write(tmp_path / "a.npy", "k.npy")
    assert read_array(tmp_path / "a.npz").shape == (50, 50)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[200:400] = np.random.default_rng(1).bytes(200)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz: .*, expected a whole \.npz file of numbers"):
        read_array(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.mat"])
def test_bad_files_are_one_line(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match=r"no such file, expected an array$"):
        read_array(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=name):
        read_array(path)
    path.write_bytes(b"neither this nor that" * 20)
    with pytest.raises(InputError) as error:
        read_array(path)
    assert "\n" not in str(error.value)


def test_words_are_no_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["a", "b"]))
    with pytest.raises(InputError, match="no array of numbers"):
        read_arrays(tmp_path / "a.npy")
    with pytest.raises(InputError, match=r"the suffix is \.txt"):
        read_arrays(tmp_path / "a.txt")
