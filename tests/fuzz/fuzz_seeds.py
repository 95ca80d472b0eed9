"""Small pictures of every kind, as bytes, which the fuzz harness damages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "jpeg"
SIZE = (13, 18)
"""Rows and columns of the seeds that are made here."""
_LARGEST_REAL = 32_000


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def _tiff(array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def seeds() -> dict[str, bytes]:
    """All of them by file name; the real JPEGs only where they are at hand."""
    rng = np.random.default_rng(7)
    colour = rng.integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    deep = rng.integers(0, 65536, (*SIZE, 4), dtype=np.uint16)
    rgb, grey = Image.fromarray(colour[..., :3].copy()), Image.fromarray(colour[..., 0].copy())
    rgba, palette = Image.fromarray(colour), rgb.quantize(16)
    exif = Image.Exif()
    exif[274], exif[305], exif[282] = 6, "a program", 72.0
    hole = np.zeros(SIZE, np.uint8)
    hole[3:6, 2:9] = 255
    strokes = colour.copy()
    strokes[..., 3] = hole
    kernel = np.ones((5, 5), np.float32)
    made = {
        "grey.png": _saved(grey, "PNG"),
        "rgb.png": _saved(rgb, "PNG", exif=exif, dpi=(72, 72)),
        "rgba.png": _saved(rgba, "PNG"),
        "palette.png": _saved(palette, "PNG", transparency=b"\xff\x00\x80"),
        "one.png": _saved(grey.convert("1"), "PNG"),
        "deep.png": _saved(Image.fromarray(deep[..., 0].copy()), "PNG"),
        "animated.png": _saved(rgb, "PNG", save_all=True, append_images=[rgba.convert("RGB")]),
        "rgb.jpg": _saved(rgb, "JPEG", exif=exif, quality=80),
        "grey.jpg": _saved(grey, "JPEG"),
        "progressive.jpg": _saved(rgb, "JPEG", progressive=True, subsampling=0),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "rgb.gif": _saved(palette, "GIF", save_all=True, append_images=[palette]),
        "rgb.bmp": _saved(rgb, "BMP"),
        "palette.bmp": _saved(palette, "BMP"),
        "rgb.webp": _saved(rgb, "WEBP", exif=exif),
        "rgba.webp": _saved(rgba, "WEBP", lossless=True),
        "rgb.ppm": _saved(rgb, "PPM"),
        "rgb.tga": _saved(rgb, "TGA"),
        "rgb.tif": _saved(rgb, "TIFF", exif=exif),
        "lzw.tif": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _saved(rgb, "TIFF", compression="jpeg"),
        "packbits.tif": _saved(palette, "TIFF", compression="packbits"),
        "deep.tif": _tiff(deep[..., :3], photometric="rgb"),
        "planes.tif": _tiff(
            np.moveaxis(deep[..., :3], -1, 0).copy(), photometric="rgb", planarconfig="separate"
        ),
        "float.tif": _tiff(
            rng.random((*SIZE, 3), dtype=np.float32), photometric="rgb", compression="zlib"
        ),
        "grey_float.tif": _tiff(rng.random(SIZE, dtype=np.float32)),
        "big.tif": _tiff(deep[..., 0].copy(), bigtiff=True),
        "float.npy": _npy(rng.random(SIZE, dtype=np.float32)),
        "deep.npy": _npy(deep),
        "mask.png": _saved(Image.fromarray(hole), "PNG"),
        "hints.png": _saved(Image.fromarray(strokes), "PNG"),
        "kernel.png": _saved(Image.fromarray(hole[:5, :7].copy() + np.uint8(1)), "PNG"),
        "kernel.npy": _npy(kernel),
    }
    files = sorted(REAL.glob("*.jpg")) if REAL.is_dir() else []
    real = {f"real_{f.name}": f.read_bytes() for f in files if f.stat().st_size < _LARGEST_REAL}
    return made | real
