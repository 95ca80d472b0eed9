from __future__ import annotations

from restore.report.columns import COLUMNS, MISSING, Column, used


def test_means_have_their_standard_error_where_it_says_something():
    row = {"psnr": 30.123, "psnr_se": 0.256, "seconds": 2.0, "seconds_se": 1.0}
    assert COLUMNS["psnr"].text(row, "psnr") == "30.12 ± 0.26"
    assert COLUMNS["seconds"].text(row, "seconds") == "2.0"
    assert COLUMNS["psnr"].text(row | {"psnr_se": None}, "psnr") == "30.12"
    assert COLUMNS["memory"].text({"memory": 350_400_000}, "memory") == "350 MB"
    share = Column("share", "{:.1f} %", unit=0.01)
    assert share.text({"a": 0.5, "a_se": 0.015}, "a") == "50.0 % ± 1.5 %"
    assert COLUMNS["ssim"].text(row, "ssim") == MISSING


def test_columns_without_values_are_left_out():
    rows = [{"psnr": 1.0, "ssim": None}, {"psnr": None, "evaluations": 0}]
    assert list(used(COLUMNS, rows)) == ["psnr", "evaluations"]


def test_there_is_a_column_for_each_figure():
    from restore.tasks.summary import FIGURES

    assert tuple(COLUMNS) == ("inputs", "equal", *FIGURES)
