"""ISMRMRD's XML header, which fastMRI's files carry too."""

from __future__ import annotations

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
        spacing: mm of a pixel.
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
        self.trajectory = (encoding.findtext("trajectory") or "cartesian").strip().lower()
        recon = self._numbers(encoding, "reconSpace/matrixSize")
        encoded = self._numbers(encoding, "encodedSpace/matrixSize")
        fov = self._numbers(encoding, "reconSpace/fieldOfView_mm")
        encoded_fov = self._numbers(encoding, "encodedSpace/fieldOfView_mm")
        self.matrix = (round(recon[0]), round(recon[1])) if recon else None
        self.encoded = (round(encoded[0]), round(encoded[1])) if encoded else None
        center = encoding.findtext("encodingLimits/kspace_encoding_step_1/center")
        self.center = int(center) if center and center.strip().isdecimal() else None
        self.fov = (fov[0], fov[1]) if fov else None
        self.encoded_fov = (encoded_fov[0], encoded_fov[1]) if encoded_fov else None
        self.spacing = None
        if recon and fov:
            self.spacing = (fov[0] / recon[0], fov[1] / recon[1], fov[2] / recon[2])

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
