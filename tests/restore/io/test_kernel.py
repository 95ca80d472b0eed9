import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.errors import InputError
from restore.io.kernel import read_kernel

WEIGHTS = np.array([[0, 1, 2], [3, 4, 0], [1, 1, 1], [0, 0, 0], [5, 0, 0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_an_array_is_divided_by_its_sum(tmp_path, dtype):
    np.save(tmp_path / "k.npy", WEIGHTS.astype(dtype))
    kernel, total = read_kernel(tmp_path / "k.npy")
    assert total == 18
    np.testing.assert_allclose(kernel, WEIGHTS / 18)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_levels_of_a_picture_are_weights(tmp_path, mode):
    Image.fromarray((20 * WEIGHTS).astype(np.uint8)).convert(mode).save(tmp_path / "k.png")
    kernel, _ = read_kernel(tmp_path / "k.png")
    np.testing.assert_allclose(kernel, WEIGHTS / 18, atol=1e-6)


def test_weights_of_a_picture_may_be_above_1(tmp_path):
    tifffile.imwrite(tmp_path / "k.tif", WEIGHTS.astype(np.float32))
    kernel, total = read_kernel(tmp_path / "k.tif")
    assert total == 18
    np.testing.assert_allclose(kernel, WEIGHTS / 18)


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.ones((4, 3)), "a kernel of 3x4 has no centre"),
        (np.full((3, 3), np.nan), "NaN or infinity"),
        (np.array([[-1.0, 2, 0]]), "weights from -1"),
        (np.zeros((3, 3)), "every weight is 0"),
        (np.ones(3), "an array [3] of float64"),
        (np.ones((0, 3)), "an array [0, 3] of float64"),
        (np.ones((3, 3), complex), "of complex128"),
    ],
)
def test_refuses(tmp_path, array, part):
    np.save(tmp_path / "k.npy", array)
    with pytest.raises(InputError) as error:
        read_kernel(tmp_path / "k.npy")
    assert str(error.value).startswith(f"{tmp_path / 'k.npy'}: ")
    assert part in str(error.value)
    assert "expected weights from 0" in str(error.value)


def test_refuses_what_is_no_array(tmp_path):
    (tmp_path / "k.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="no NumPy array"):
        read_kernel(tmp_path / "k.npy")
