"""Coil sensitivities from the fully sampled middle of k-space."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from operators.fourier import centred_ifft
from restore.mri.coils import strongest_coils

# Pixels whose eigenvectors are found at once.
_PIECE = 2**14
_SMALLEST, _LARGEST = 3, 6
# Eigenvalue from which a pixel has a map.
_CROP = 0.95
# What is left of the space of patches under noise no longer reaches 1 where the object is dim.
_NOISY_CROP = 0.9


class CoilMaps(NamedTuple):
    """Sensitivities, and how sure they are.

    Attributes:
        maps: [sets, coils, H, W], zero where there is no signal; of the phase that the combination
            of coils of most energy has, since any one coil may be dead or far away.
        eigenvalues: [sets, H, W], near 1 where the set explains the data.
    """

    maps: Tensor
    eigenvalues: Tensor


def espirit(
    kspace: Tensor,
    *,
    calib_size: int | tuple[int, int] = 24,
    kernel: int | None = None,
    threshold: float = 0.02,
    crop: float = _CROP,
    sets: int = 1,
    noise: float = 0.0,
) -> CoilMaps:
    """Estimate coil maps.

    The patches of the middle of k-space span a small space; image by image, the operator that
    projects on it has the sensitivities as eigenvectors of eigenvalue 1. A second set is needed
    where the object is larger than the field of view and folds.

    Args:
        kspace: [coils, H, W], fully sampled in the middle.
        calib_size: Side of that middle, or its rows and columns; smaller images take what there is.
        kernel: Side of the patches; by default 6, or less where the middle has fewer patches than a
            patch has entries, which would leave the space of patches half known.
        threshold: Relative singular value below which a patch is noise, where there is little.
        crop: Eigenvalue below which a pixel has no map; at most 0.9 where noise hides patches.
        sets: 1 or 2.
        noise: Standard deviation per component. Patches below the largest singular value of such
            noise alone, σ √2 (√m + √n) of m patches of n entries, are not told from it.

    Source: Uecker et al., "ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI:
    where SENSE meets GRAPPA", 2014. The largest singular value: Marchenko and Pastur, 1967.
    """
    coils, height, width = kspace.shape
    center = middle(kspace, calib_size)
    side = min(kernel or _kernel(center), *center.shape[1:])
    patches = center.unfold(1, side, 1).unfold(2, side, 1).flatten(1, 2)
    matrix = patches.transpose(0, 1).flatten(1)
    # The right singular vectors of a tall matrix, by its small Gram matrix in double precision.
    double = matrix.to(torch.complex128)
    values, vectors = torch.linalg.eigh(double.mH @ double)
    least = threshold * float(values[-1].sqrt())
    hidden = noise * math.sqrt(2) * sum(math.sqrt(side) for side in matrix.shape)
    if hidden > least:
        least, crop = hidden, min(crop, _NOISY_CROP)
    kept = values.clamp_min(0).sqrt() > least
    kernels = vectors[:, kept].mH.to(kspace.dtype).reshape(-1, coils, side, side)

    gram = kspace.new_zeros(height, width, coils, coils)
    top, left = height // 2 - side // 2, width // 2 - side // 2
    for one in kernels:
        padded = kspace.new_zeros(coils, height, width)
        padded[:, top : top + side, left : left + side] = one
        image = centred_ifft(padded).permute(1, 2, 0)
        gram.addcmul_(image[..., :, None], image[..., None, :].conj())
    gram *= height * width / side**2

    flat, found, sizes = gram.flatten(0, 1), [], []
    for piece in torch.split(flat, _PIECE):
        size, vector = torch.linalg.eigh(piece)
        sizes.append(size[:, -sets:].flip(-1))
        found.append(vector[:, :, -sets:].flip(-1))
    eigenvalues = torch.cat(sizes).reshape(height, width, sets).permute(2, 0, 1)
    maps = torch.cat(found).reshape(height, width, coils, sets).permute(3, 2, 0, 1)
    phase = torch.einsum("c,jchw->jhw", _strongest(center).conj(), maps)[:, None]
    maps = maps * (phase.conj() / phase.abs().clamp_min(1e-12))
    return CoilMaps(maps * (eigenvalues > crop)[:, None], eigenvalues)


def _strongest(center: Tensor) -> Tensor:
    """The combination of coils [coils] that has most of the energy; its largest entry is real."""
    weights = strongest_coils(center.to(torch.complex128), 1)[:, 0]
    largest = weights[weights.abs().argmax()]
    turned: Tensor = weights * (largest.conj() / largest.abs())
    return turned.to(center.dtype)


def _kernel(center: Tensor) -> int:
    """The largest patch of up to 6 that a middle [coils, rows, columns] has enough of."""
    coils, rows, columns = center.shape
    for side in range(_LARGEST, _SMALLEST, -1):
        if (rows - side + 1) * (columns - side + 1) >= coils * side**2:
            return side
    return _SMALLEST


def folds(maps: CoilMaps) -> bool:
    """Whether a second set of maps has something to say in 2 % of the pixels of the first."""
    first, second = maps.eigenvalues[0] > _CROP, maps.eigenvalues[1] > _CROP
    return int((first & second).sum()) > 0.02 * int(first.sum())


def calibration_side(mask: Tensor) -> int:
    """Side of the largest square around DC [H, W] that is fully sampled."""
    side = min(mask.shape)
    while side > 0:
        if bool(_around(mask, side, side).all()):
            return side
        side -= 1
    return 0


def calibration_area(mask: Tensor) -> tuple[int, int]:
    """Rows and columns of what is fully sampled around DC: a square, grown high, then wide.

    0 and 0 where DC itself is missing.
    """
    rows = columns = calibration_side(mask)
    while 0 < rows < mask.shape[0] and bool(_around(mask, rows + 1, columns).all()):
        rows += 1
    while 0 < columns < mask.shape[1] and bool(_around(mask, rows, columns + 1).all()):
        columns += 1
    return rows, columns


def middle(kspace: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Return the middle of k-space [coils, H, W], of one side or so many rows and columns."""
    rows, columns = (size, size) if isinstance(size, int) else size
    return _around(kspace, min(rows, kspace.shape[1]), min(columns, kspace.shape[2]))


def _around(x: Tensor, rows: int, columns: int) -> Tensor:
    """So many rows and columns of [..., H, W] around DC."""
    height, width = x.shape[-2:]
    top, left = height // 2 - rows // 2, width // 2 - columns // 2
    return x[..., top : top + rows, left : left + columns]
