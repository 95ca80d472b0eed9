import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_rescale, apply_windowing

from restore.errors import InputError
from restore.io.dicom import read_dicom, write_dicom
from restore.io.display import write_shown
from restore.io.nifti import read_nifti, write_nifti
from restore.io.placement import Placement

SPACING = (0.8, 0.5, 3.0)
DCIODVFY = shutil.which("dciodvfy")


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-900, 1500, shape).astype(np.float32)


def sample(name: str) -> Path:
    return Path(get_testdata_file(name, download=False))


def test_a_slice_of_ct_is_in_hounsfield_units():
    image = read_dicom(sample("CT_small.dcm"))
    dataset = pydicom.dcmread(sample("CT_small.dcm"))
    assert image.values.shape == (1, 128, 128)
    assert np.array_equal(image.values[0], dataset.pixel_array * 1.0 - 1024)
    assert image.spacing == pytest.approx((0.661468, 0.661468, 5))
    assert image.modality == "CT"
    assert read_dicom(sample("MR_small.dcm")).modality == "MR"
    assert np.array_equal(
        read_dicom(sample("MR_small_RLE.dcm")).values, read_dicom(sample("MR_small.dcm")).values
    )


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_series_is_read_back_in_its_order(tmp_path, modality):
    values = volume(3, 9, 7) if modality == "CT" else 1e-6 * np.abs(volume(3, 9, 7))
    files = write_dicom(tmp_path / "s" / "a.dcm", values, modality, spacing=SPACING)
    assert [file.name for file in files] == ["a.dcm", "a_slice1.dcm", "a_slice2.dcm"]
    (tmp_path / "s" / "a.json").write_text("{}")
    back = read_dicom(tmp_path / "s")
    step = 1 if modality == "CT" else values.max() / 65535
    assert np.abs(back.values - values).max() <= 0.51 * step
    assert back.spacing == pytest.approx(SPACING)
    assert back.notes == []
    first = pydicom.dcmread(files[0])
    assert first.ImageType[0] == "DERIVED"
    assert len({pydicom.dcmread(file).SOPInstanceUID for file in files}) == 3
    assert len({pydicom.dcmread(file).SeriesInstanceUID for file in files}) == 1


@pytest.mark.parametrize(("low", "high"), [(-2000.0, 5000.0), (0.0, 70_000.0)])
def test_what_is_beyond_the_usual_range_of_ct_is_kept(tmp_path, low, high):
    values = np.linspace(low, high, 64).reshape(1, 8, 8)
    back = read_dicom(write_dicom(tmp_path / "a.dcm", values, "CT")[0]).values
    assert np.abs(back - values).max() <= 0.51 * max(1, (high + 1024) / 65535)


@pytest.mark.parametrize("brightest", [0.002, 700.0])
def test_a_viewer_shows_all_of_a_picture_of_mr(tmp_path, brightest):
    values = np.linspace(-brightest / 3, brightest, 64).reshape(1, 8, 8)
    dataset = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", values, "MR")[0])
    # Its window turns the range of the stored numbers into itself.
    shown = apply_windowing(apply_rescale(dataset.pixel_array, dataset), dataset)
    assert np.allclose(shown, values, atol=1e-4 * brightest)


def test_a_derived_image_keeps_patient_and_study_and_has_uids_of_its_own(tmp_path):
    source = pydicom.dcmread(sample("CT_small.dcm"))
    (file,) = write_dicom(tmp_path / "a.dcm", volume(1, 8, 8), "CT", source=source)
    derived = pydicom.dcmread(file)
    assert derived.PatientName == source.PatientName
    assert derived.StudyInstanceUID == source.StudyInstanceUID
    assert derived.SeriesInstanceUID != source.SeriesInstanceUID
    assert derived.SOPInstanceUID != source.SOPInstanceUID
    assert derived.PixelSpacing == source.PixelSpacing
    # Its place is the source's, and so is what that is measured from.
    assert derived.ImagePositionPatient == pytest.approx(source.ImagePositionPatient)
    assert derived.FrameOfReferenceUID == source.FrameOfReferenceUID


@pytest.mark.skipif(DCIODVFY is None, reason="dicom3tools are not on this machine")
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_files_are_valid(tmp_path, modality):
    (file,) = write_dicom(tmp_path / "a.dcm", np.abs(volume(1, 8, 8)), modality, spacing=SPACING)
    said = subprocess.run([DCIODVFY, file], capture_output=True, text=True, check=False)
    assert "Error" not in said.stdout + said.stderr


def test_uneven_spacing_and_tilt_are_said(tmp_path):
    files = write_dicom(tmp_path / "a.dcm", volume(4, 8, 8), "CT", spacing=SPACING)
    last = pydicom.dcmread(files[-1])
    last.ImagePositionPatient = [0, 0, 9.1]
    last.save_as(files[-1])
    first = pydicom.dcmread(files[0])
    first.GantryDetectorTilt = "12"
    first.save_as(files[0])
    notes = read_dicom(tmp_path).notes
    assert notes[0].startswith("uneven spacing of the slices: 3.00 to 3.10 mm")
    assert notes[1].startswith("gantry tilt of 12 degrees")


def test_bad_dicom_is_one_line(tmp_path):
    path = tmp_path / "a.dcm"
    with pytest.raises(InputError, match="no such file, expected DICOM"):
        read_dicom(path)
    path.write_bytes(b"nothing of the kind" * 30)
    with pytest.raises(InputError, match="not DICOM, expected a CT or MR slice"):
        read_dicom(path)
    whole = sample("CT_small.dcm").read_bytes()
    path.write_bytes(whole[: len(whole) - 9000])
    with pytest.raises(InputError, match="expected a whole DICOM file"):
        read_dicom(path)
    # Nor does pydicom's own warning reach the terminal: here it would be an error.
    path.write_bytes(whole.replace(b"1.2.840.10008.1.2.1", b"1.2.8z0.10008.1.2.1"))
    with pytest.raises(InputError, match="compressed as"):
        read_dicom(path)
    with pytest.raises(InputError, match="compressed as JPEG-LS"):
        read_dicom(sample("MR_small_jpeg_ls_lossless.dcm"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file in this folder"):
        read_dicom(tmp_path / "empty")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_is_read_back(tmp_path, name):
    values = volume(3, 9, 7)
    write_nifti(tmp_path / name, values, SPACING)
    back = read_nifti(tmp_path / name)
    assert np.array_equal(back.values, values)
    assert back.spacing == pytest.approx(SPACING)
    theirs = nibabel.load(tmp_path / name)
    assert theirs.shape == (7, 9, 3)
    assert theirs.get_fdata()[2, -1, 1] == pytest.approx(values[1, 0, 2])
    assert [p.name for p in tmp_path.iterdir()] == [name]
    if name.endswith(".gz"):  # without the time, so that a run can be repeated
        assert (tmp_path / name).read_bytes()[4:8] == bytes(4)


def test_a_complex_nifti_gives_its_magnitude(tmp_path):
    values = (volume(5, 4, 3) + 1j * volume(5, 4, 3)[::-1]).astype(np.complex64)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    read = read_nifti(tmp_path / "a.nii").values
    assert np.allclose(read, np.abs(values).transpose(2, 1, 0)[:, ::-1])


def test_bad_nifti_is_one_line(tmp_path):
    path = tmp_path / "a.nii"
    with pytest.raises(InputError, match="no such file"):
        read_nifti(path)
    path.write_bytes(b"\0" * 400)
    with pytest.raises(InputError, match="expected a whole NIfTI file"):
        read_nifti(path)
    write_nifti(path, volume(3, 9, 7))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="expected a whole NIfTI file"):
        read_nifti(path)


def test_a_nifti_of_colours_is_one_line(tmp_path):
    path = tmp_path / "a.nii"
    colours = np.zeros((5, 4, 3), [(name, "u1") for name in "RGB"])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), path)
    with pytest.raises(InputError, match=r"a.nii: colours, expected one number a voxel$"):
        read_nifti(path)


def test_of_four_axes_one_volume_is_read_and_several_are_one_line(tmp_path):
    path, values = tmp_path / "a.nii", volume(5, 4, 3)
    nibabel.save(nibabel.Nifti1Image(values[..., None], np.eye(4)), path)
    assert np.array_equal(read_nifti(path).values, values.transpose(2, 1, 0)[:, ::-1])
    nibabel.save(nibabel.Nifti1Image(volume(5, 4, 1, 3), np.eye(4)), path)
    with pytest.raises(InputError, match=r"a.nii: 3 volumes of \[5, 4, 1\], expected one$"):
        read_nifti(path)


@pytest.mark.parametrize(("unit", "millimetres"), [("micron", 1e-3), ("meter", 1e3), ("mm", 1)])
def test_lengths_of_nifti_are_in_its_unit(tmp_path, unit, millimetres):
    affine = np.diag([50.0, 40, 30, 1])
    affine[:3, 3] = 7, -8, 9
    image = nibabel.Nifti1Image(volume(5, 4, 3), affine)
    image.header.set_xyzt_units(unit, "sec")  # which lies in the same byte
    nibabel.save(image, tmp_path / "a.nii")
    read = read_nifti(tmp_path / "a.nii")
    assert read.spacing == pytest.approx((40 * millimetres, 50 * millimetres, 30 * millimetres))
    write_nifti(tmp_path / "b.nii", *read)
    back = nibabel.load(tmp_path / "b.nii")
    affine[:3] *= millimetres
    assert np.allclose(back.affine, affine, rtol=1e-5)
    assert back.header.get_xyzt_units()[0] == "mm"


def test_several_slices_are_shown_side_by_side(tmp_path):
    values = np.stack([np.full((4, 5), level) for level in (0.0, 1.0, 2.0)])
    write_shown(tmp_path / "a.png", values, white=2)
    with Image.open(tmp_path / "a.png") as image:
        shown = np.asarray(image)
    assert shown.shape == (8, 10)
    assert shown[0, 9] == 32768
    assert shown[7, 0] == 65535
    assert shown[7, 9] == 0
    write_shown(tmp_path / "a.png", np.ones((5, 4, 5)))  # three and two
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (15, 8)


def test_slices_of_one_place_or_of_several_orientations_are_one_line(tmp_path):
    files = write_dicom(tmp_path / "a.dcm", np.abs(volume(4, 8, 8)), "MR", spacing=SPACING)

    def change(number: int, **tags: object) -> None:
        dataset = pydicom.dcmread(files[number])
        for tag, value in tags.items():
            setattr(dataset, tag, value)
        dataset.save_as(files[number])

    for number in range(4):
        change(number, EchoNumbers=number % 2 + 1, ImagePositionPatient=[0, 0, 5 * (number // 2)])
    with pytest.raises(InputError) as said:
        read_dicom(tmp_path)
    assert str(said.value) == (
        f"{files[1]}: ImagePositionPatient 0, 0, 0 is in the slice of a.dcm, too (EchoNumbers 2 "
        "and 1), expected one volume"
    )
    for number in range(4):
        change(number, EchoNumbers=1, ImagePositionPatient=[0, 0, 5 * min(number, 2)])
    with pytest.raises(
        InputError, match=r"slice3.dcm: .* 0, 0, 10 is in the slice of a_slice2.dcm"
    ):
        read_dicom(tmp_path)
    change(3, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    with pytest.raises(
        InputError, match=r"slice3.dcm: ImageOrientationPatient is 1, 0, 0, 0, 0, -1, of a.dcm 1, 0"
    ):
        read_dicom(tmp_path)
    change(3, SeriesInstanceUID="1.2.3")
    with pytest.raises(InputError, match=r"slice3.dcm: of another series than a.dcm, expected one"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("shared", [True, False])
def test_an_enhanced_file_says_of_its_frame_what_others_say_of_themselves(tmp_path, shared):
    (file,) = write_dicom(
        tmp_path / "a.dcm", volume(1, 8, 6), "CT", spacing=SPACING,
        placement=Placement(np.array([[4.0, 5, 6]]), np.array([0, 1.0, 0]), np.array([0, 0, -1.0])),
    )  # fmt: skip
    plain = read_dicom(file)
    dataset = pydicom.dcmread(file)
    frame = pydicom.Dataset()
    for group, names in {
        "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
        "PlanePositionSequence": ("ImagePositionPatient",),
        "PlaneOrientationSequence": ("ImageOrientationPatient",),
        "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    }.items():
        item = pydicom.Dataset()
        for name in names:
            setattr(item, name, dataset[name].value)
            delattr(dataset, name)
        setattr(frame, group, [item])
    dataset.NumberOfFrames = 1
    of_all, of_each = (frame, pydicom.Dataset()) if shared else (pydicom.Dataset(), frame)
    dataset.SharedFunctionalGroupsSequence = [of_all]
    dataset.PerFrameFunctionalGroupsSequence = [of_each]
    dataset.save_as(tmp_path / "e.dcm")
    enhanced = read_dicom(tmp_path / "e.dcm")
    assert np.array_equal(enhanced.values, plain.values)
    assert (enhanced.spacing, enhanced.notes) == (plain.spacing, [])
    for name in ("first", "across", "down", "thickness"):
        assert np.array_equal(getattr(enhanced.placement, name), getattr(plain.placement, name))


@pytest.mark.parametrize("name", ["PixelSpacing", "RescaleSlope", "RescaleIntercept"])
def test_what_is_empty_is_as_absent(tmp_path, name):
    dataset = pydicom.dcmread(sample("CT_small.dcm"))
    setattr(dataset, name, None)
    dataset.save_as(tmp_path / "a.dcm")
    image = read_dicom(tmp_path / "a.dcm")
    shift = 0 if name == "RescaleIntercept" else -1024
    assert np.array_equal(image.values[0], dataset.pixel_array * 1.0 + shift)
    if name == "PixelSpacing":
        assert image.spacing[:2] == (1, 1)
        assert image.notes == ["no spacing in the file: pixels are taken as 1 mm"]
        write_dicom(tmp_path / "b.dcm", image.values, "CT", source=image.header)


def test_the_step_is_the_usual_one(tmp_path):
    files = write_dicom(tmp_path / "a.dcm", volume(4, 8, 8), "CT", spacing=SPACING)
    last = pydicom.dcmread(files[-1])
    last.ImagePositionPatient = [0, 0, 20]
    last.save_as(files[-1])
    assert read_dicom(tmp_path).spacing[2] == SPACING[2]


def test_slices_without_a_place_are_in_their_order(tmp_path):
    values = np.abs(volume(3, 8, 8))
    for file in write_dicom(tmp_path / "a.dcm", values, "MR"):
        dataset = pydicom.dcmread(file)
        del dataset.ImagePositionPatient
        dataset.save_as(file)
    assert np.allclose(read_dicom(tmp_path).values, values, atol=0.1)


def test_a_slice_keeps_its_thickness_which_is_not_the_step(tmp_path):
    files = write_dicom(tmp_path / "a" / "a.dcm", volume(4, 8, 8), "CT", spacing=SPACING)
    thickness = [4.0, 4.0, 7.0, 7.0]
    for file, mm in zip(files, thickness, strict=True):
        dataset = pydicom.dcmread(file)
        dataset.SliceThickness = mm
        dataset.save_as(file)
    image = read_dicom(tmp_path / "a")
    assert image.spacing == pytest.approx(SPACING)
    again = write_dicom(
        tmp_path / "b" / "b.dcm", image.values[1:3], "CT", spacing=image.spacing,
        source=image.header, placement=image.placement.taken([1, 2]),
    )  # fmt: skip
    assert [float(pydicom.dcmread(file).SliceThickness) for file in again] == [4, 7]
    assert np.ptp(positions(tmp_path / "b")[:, 2]) == pytest.approx(SPACING[2])
    (one,) = write_dicom(
        tmp_path / "c.dcm", image.values[:1], "CT", spacing=SPACING, source=image.header
    )
    assert float(pydicom.dcmread(one).SliceThickness) == 4


def positions(folder: Path) -> np.ndarray:
    found = [pydicom.dcmread(file).ImagePositionPatient for file in sorted(folder.glob("*.dcm"))]
    return np.array(found, dtype=float)


def test_slices_stay_where_they_are_in_the_patient(tmp_path):
    """Tilted, uneven slices, of which some are written again, in either format."""
    tilt = np.deg2rad(20)
    down = np.array([0, np.cos(tilt), -np.sin(tilt)])
    first = np.array([[-10, -20, z] for z in (5.0, 9.0, 15.0, 16.0)])
    placement = Placement(first, np.array([1.0, 0, 0]), down)
    write_dicom(
        tmp_path / "a" / "a.dcm", volume(4, 8, 6), "CT", spacing=SPACING, placement=placement
    )
    image = read_dicom(tmp_path / "a")
    assert np.allclose(image.placement.first, first, atol=1e-5)
    some = image.placement.taken([1, 3])
    write_dicom(
        tmp_path / "b" / "b.dcm", image.values[[1, 3]], "CT", spacing=SPACING,
        source=image.header, placement=some,
    )  # fmt: skip
    assert np.allclose(positions(tmp_path / "b"), first[[1, 3]], atol=1e-5)
    write_nifti(tmp_path / "c.nii", image.values[[1, 3]], SPACING, some)
    theirs = nibabel.load(tmp_path / "c.nii")
    # Voxel 0 is the left end of the last row; NIfTI's x and y are DICOM's, turned round.
    corner = first[1] + 7 * SPACING[0] * down
    assert np.allclose(theirs.affine[:3, 3], corner * [-1, -1, 1], atol=1e-4)
    again = read_nifti(tmp_path / "c.nii").placement
    for name in ("first", "across", "down"):
        assert np.allclose(getattr(again, name), getattr(some, name), atol=1e-4), name


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_nifti_of_either_side_is_not_mirrored(tmp_path, side):
    affine = np.diag([1.5 * side, 1.5, 3, 1])
    affine[:3, 3] = 7, -8, 9
    values = volume(5, 4, 3)
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "a.nii")
    read = read_nifti(tmp_path / "a.nii")
    write_nifti(tmp_path / "b.nii", *read)
    back = nibabel.load(tmp_path / "b.nii")
    assert np.allclose(back.affine, affine, atol=1e-5)
    assert np.array_equal(back.get_fdata(), values)


def test_a_nifti_without_a_transform_does_not_say_where_it_lies(tmp_path):
    image = nibabel.Nifti1Image(volume(5, 4, 3), None)
    image.header.set_zooms((2, 3, 4))
    nibabel.save(image, tmp_path / "a.nii")
    read = read_nifti(tmp_path / "a.nii")
    assert (read.spacing, read.placement) == ((3, 2, 4), None)
    image.set_qform(np.diag([-2, 3, 4, 1]), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    assert np.allclose(read_nifti(tmp_path / "a.nii").placement.first[:, 2], [0, 4, 8])


def test_another_grid_has_the_same_corners():
    placement = Placement(np.zeros((1, 3)), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    half = placement.resized((2.0, 2.0), (8, 6), (4, 3))
    # Two pixels of 2 mm become one of 4 mm, whose centre lies between theirs.
    assert np.allclose(half.first, [[1, 1, 0]])
    assert np.allclose(half.resized((4.0, 4.0), (4, 3), (8, 6)).first, 0)


def test_lengths_that_are_none(tmp_path):
    dataset = pydicom.dcmread(sample("CT_small.dcm"))
    dataset.PixelSpacing = [0, 0]
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="pixels of 0 x 0 mm, expected lengths above 0"):
        read_dicom(tmp_path / "a.dcm")


@pytest.mark.parametrize("place", [(2, 2), (0, 0), (0, 3)])
def test_a_place_that_is_none_is_left_out(tmp_path, place):
    """Slices that lie in one, columns that lie in one, and a place that is not finite."""
    affine = np.eye(4)
    affine[place] = np.nan if place == (0, 3) else 0
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(volume(5, 4, 3), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[280:328] = affine[:3].astype("<f4").tobytes()  # srow_x, srow_y, srow_z
    path.write_bytes(content)
    read = read_nifti(path)
    assert read.placement is None
    write_nifti(tmp_path / "b.nii", *read)
