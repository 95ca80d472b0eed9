"""The page of a run: its figures, and nothing of a name taken for HTML."""

from __future__ import annotations

import base64
import re
from html import unescape
from io import BytesIO

import numpy as np
from PIL import Image

from restore.io.picture import write_picture
from restore.report.inline import LONGEST
from restore.report.page import FIGURES, write_report
from restore.tasks.run import Result

HOSTILE = "<i>&'.png"


def one_picture(tmp_path, size):
    """The result of a run that made a black picture of that many (rows, columns)."""
    write_picture(source := tmp_path / "black.png", np.zeros((1, *size)))
    (sidecar := tmp_path / "run.json").write_text("{}")
    record = dict.fromkeys(FIGURES, 0) | {"metrics": None, "baseline": None}
    record |= {"input": str(source), "task": "denoise", "sidecar": str(sidecar)}
    return Result(record, [], True, [])


def test_a_large_picture_is_shown_smaller_under_its_own_size(tmp_path):
    width = 2 * LONGEST
    write_report(tmp_path / "page.html", [one_picture(tmp_path, (10, width))])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    shown = re.search('src="data:image/png;base64,(.*?)"', text)
    assert Image.open(BytesIO(base64.b64decode(shown[1]))).size == (LONGEST, 5)
    assert f"black.png, {width}×10" in text


def test_figures_sizes_and_names_are_those_of_the_run(tmp_path):
    source, made = tmp_path / HOSTILE, tmp_path / f"{HOSTILE[:-4]}_denoise.png"
    write_picture(source, np.zeros((1, 4, 7)))
    write_picture(made, np.zeros((1, 8, 14)))
    (sidecar := tmp_path / "run.json").write_text('{"note": "<s> Jürgen"}', encoding="utf-8")
    record = {name: name[::-1] for name in FIGURES} | {"noise_std": 0.0123456, "metrics": None}
    record["model"] = "<m>"
    record |= {"input": str(source), "task": "denoise", "sidecar": str(sidecar)}
    record["baseline"] = {"psnr": 20.0, "ssim": None}
    results = [Result(record, [], consistent, [made]) for consistent in (True, False)]
    write_report(tmp_path / "page.html", results)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not {"<i>", "<s>", "<m>"} & set(re.findall("<.*?>", text))
    rows = re.findall("<tr><th>(.*?)</th><td>(.*?)</td></tr>", unescape(text))
    figures = {**{name: name[::-1] for name in FIGURES}, "noise_std": "0.01235", "model": "<m>"}
    baseline = "psnr 20, ssim None"
    assert dict(rows[: len(rows) // 2]) == {
        **figures,
        "consistent with the input": "yes",
        "baseline": baseline,
    }
    assert dict(rows[len(rows) // 2 :])["consistent with the input"] == "no"
    captions = re.findall("<figcaption>(.*?)</figcaption>", text)
    assert list(map(unescape, captions[:2])) == [f"{HOSTILE}, 7×4", f"{made.name}, 14×8"]
    assert f"<h2>{source}: denoise</h2>" in unescape(text)


def test_of_scans_what_is_a_picture_is_shown_and_names_need_be_no_text(tmp_path):
    sidecar, made = tmp_path / "run.json", [tmp_path / name for name in ("a.npy", "a.TIF", "a.PNG")]
    sidecar.write_text("{}")
    np.save(made[0], np.zeros((1, 4, 7), np.float32))
    for path in made[1:]:
        write_picture(path, np.zeros((1, 4, 7)))
    record = dict.fromkeys((*FIGURES, "metrics", "baseline"))
    record |= {"input": "\udcff.h5", "task": "mri", "sidecar": str(sidecar)}
    shown = []
    for of_scan in ({"slices": 1}, {}):
        write_report(tmp_path / "page.html", [Result(record | of_scan, [], True, made)])
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert "<h2>?.h5: mri</h2>" in text
        shown.append(re.findall(r'alt="(.*?)"', text))
    assert shown == [["a.PNG"], ["a.TIF", "a.PNG"]]
