"""From the grid that was encoded to that of the image: field of view, and resolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.mri_header import MriHeader

Complex = NDArray[np.complex64]
# mm along (rows, columns), None where it is not known.
FieldOfView = tuple[float | None, float | None]

# More pixels to a line than that are a damaged header.
_FINEST = 4
# Of a side, by which lengths rounded in a header may miss it.
_ROUNDED = 0.01


def image_along(data: Complex, axis: int) -> Complex:
    """The orthonormal inverse FFT along an axis whose middle is DC, and then that of the image."""
    shifted = np.fft.ifftshift(data, axis)
    image: Complex = np.fft.fftshift(np.fft.ifft(shifted, axis=axis, norm="ortho"), axis)
    return image


def without_oversampling(
    data: Complex, seen: NDArray[np.bool_], header: MriHeader
) -> tuple[Complex, NDArray[np.bool_]]:
    """Cut the readout's field of view to that of the image, where the header says.

    A coarser grid of the same extent is left of k-space. What was not sampled (the part of an echo
    before its middle, say) gets values of its neighbours on the way, which are taken out again.

    Args:
        data: [slices, coils, readout, phase], 0 where not sampled.
        seen: [slices, readout, phase], what was sampled.
        header: the fields of view.

    Returns:
        Both, with a shorter readout.
    """
    if header.encoded_fov is None or header.fov is None or header.fov[0] >= header.encoded_fov[0]:
        return data, seen
    length = data.shape[2]
    kept = max(round(length * header.fov[0] / header.encoded_fov[0]), 1)
    axes, first = (2,), length // 2 - kept // 2
    image = image_along(data, 2)[:, :, first : first + kept]
    back = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes), axis=2, norm="ortho"), axes)
    # Sampled is what lies between two positions that were.
    places = (length // 2 + (np.arange(kept) - kept // 2) * length / kept).clip(0, length - 1)
    below, above = np.floor(places).astype(int), np.ceil(places).astype(int)
    between = seen[:, below] & seen[:, above]
    return np.where(between[:, None], back, 0).astype(np.complex64), between


def at_resolution(
    path: Path, data: Complex, header: MriHeader, fov: FieldOfView
) -> tuple[Complex, tuple[int, int] | None]:
    """k-space [..., rows, columns] cropped, or with zeros around it, to the image's resolution.

    A field of view that has `matrix` pixels in the image has `matrix · fov / header.fov` of them
    where it is that of the data: so many positions of k-space make pixels of the image's size.

    Args:
        path: the file, for what is said.
        data: DC at (rows // 2, columns // 2).
        header: matrix and field of view of the image.
        fov: of the data; where it is not known, pixels are taken to have the image's size.

    Returns:
        The data, and the matrix that is to be cut from the middle of its image; None for all.

    Raises:
        InputError: if the image has far more pixels than k-space.
    """
    if header.matrix is None:
        return data, None
    sides, cut = [], []
    for axis, (side, wanted) in enumerate(zip(data.shape[-2:], header.matrix, strict=True)):
        measured = fov[axis]
        whole = max(side, wanted)
        if measured is not None and header.fov is not None:
            whole = _side(side, wanted, wanted * measured / header.fov[axis])
        if not 1 <= whole <= _FINEST * side:
            raise InputError(
                f"{path}: a matrix of {header.matrix[0]} x {header.matrix[1]} of k-space "
                f"{list(data.shape[-2:])}, expected at most {_FINEST} times as many"
            )
        sides.append(whole)
        # An image cannot be larger than what was encoded.
        cut.append(min(wanted, whole))
    resized = _resized(data, (sides[0], sides[1]))
    matrix = (cut[0], cut[1])
    return resized, None if matrix == resized.shape[-2:] else matrix


def _side(side: int, wanted: int, exact: float) -> int:
    """The number of pixels: that of k-space, or of the image, where rounding may be between."""
    for likely in (side, wanted):
        if likely >= wanted and abs(exact - likely) <= _ROUNDED * likely:
            return likely
    return round(exact)


def _resized(data: Complex, sides: tuple[int, int]) -> Complex:
    """The middle of k-space, or k-space with zeros around it; DC stays in the middle."""
    for axis, wanted in zip((-2, -1), sides, strict=True):
        side = data.shape[axis]
        first = side // 2 - wanted // 2
        if wanted < side:
            data = np.take(data, range(first, first + wanted), axis)
        elif wanted > side:
            around = [(0, 0)] * data.ndim
            around[axis] = (-first, wanted - side + first)
            data = np.pad(data, around)
    return data
