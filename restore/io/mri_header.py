"""ISMRMRD's XML header, which fastMRI's files carry too."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from xml.etree import ElementTree

from restore.errors import InputError


class MriHeader:
    """What is used of it. Fields that are optional there are None here.

    Attributes:
        trajectory: cartesian, radial, spiral, ….
        matrix: (readout, phase) of the image.
        encoded: (readout, phase) of what was sampled.
        center: the step of DC.
        fov: (readout, phase) of the image, mm.
        encoded_fov: likewise, of what was sampled.
        spacing: mm of a pixel, (readout, phase, slices).
        calibrated_apart: whether lines for coil maps are of a scan of their own.
    """

    def __init__(self, path: Path, text: bytes | str) -> None:
        # Entities are not needed, and how they are abused is known.
        raw = text.encode() if isinstance(text, str) else bytes(text)
        if b"<!ENTITY" in raw or b"<!DOCTYPE" in raw:
            raise InputError(f"{path}: a header with entities, expected ISMRMRD's XML")
        try:
            root = ElementTree.fromstring(raw.strip(b"\0"))
        # Of an encoding that is none, or of several bytes, it raises the others.
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise InputError(f"{path}: {error} in the header, expected ISMRMRD's XML") from error
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        encoding = root.find("encoding")
        if encoding is None:
            raise InputError(f"{path}: no encoding in the header, expected ISMRMRD's XML")
        self._path = path
        mode = (encoding.findtext("parallelImaging/calibrationMode") or "").strip().lower()
        self.calibrated_apart = mode in ("separate", "external")
        self.trajectory = (encoding.findtext("trajectory") or "cartesian").strip().lower()
        self._recon = self._numbers(encoding, "reconSpace/matrixSize")
        self._encoded = self._numbers(encoding, "encodedSpace/matrixSize")
        self._fov = self._numbers(encoding, "reconSpace/fieldOfView_mm")
        self._encoded_fov = self._numbers(encoding, "encodedSpace/fieldOfView_mm")
        self._centers = [
            int(center) if center and center.strip().isdecimal() else None
            for center in (
                encoding.findtext(f"encodingLimits/kspace_encoding_step_{step}/center")
                for step in (1, 2)
            )
        ]
        self._along((0, 1, 2))

    def across_readout(self) -> MriHeader:
        """The header of planes across the readout, of (phase, partition) where it has another's.

        Slices of them follow each other along the readout.
        """
        new = copy(self)
        new._along((1, 2, 0))
        return new

    def _along(self, axes: tuple[int, int, int]) -> None:
        """Take the sides of rows, columns and slices from these axes of the scanner."""

        def lengths(numbers: tuple[float, ...] | None) -> tuple[float, float] | None:
            return None if numbers is None else (numbers[axes[0]], numbers[axes[1]])

        def sides(numbers: tuple[float, ...] | None) -> tuple[int, int] | None:
            return None if numbers is None else (round(numbers[axes[0]]), round(numbers[axes[1]]))

        self.matrix, self.encoded = sides(self._recon), sides(self._encoded)
        self.fov, self.encoded_fov = lengths(self._fov), lengths(self._encoded_fov)
        self.center = self._centers[axes[1] - 1]
        self.spacing: tuple[float, float, float] | None = None
        if self._recon and self._fov:
            row, column, between = (self._fov[axis] / self._recon[axis] for axis in axes)
            self.spacing = (row, column, between)

    def _numbers(self, encoding: ElementTree.Element, where: str) -> tuple[float, ...] | None:
        found = [encoding.findtext(f"{where}/{axis}") for axis in "xyz"]
        if None in found:
            return None
        try:
            numbers = tuple(float(text) for text in found if text is not None)
        except ValueError:
            numbers = (0.0,)
        # Half a pixel is none.
        least = 0.5 if where.endswith("matrixSize") else 0.0
        if not all(least < number < 1e6 for number in numbers):
            raise InputError(f"{self._path}: {where} is {found} in the header, expected numbers")
        return numbers
