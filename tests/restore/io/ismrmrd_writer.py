"""ISMRMRD files by its own library."""

import ismrmrd
import ismrmrd.xsd as xsd
import numpy as np

COILS, ROWS, COLUMNS = 3, 10, 8


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def space(sides, lengths):
    """Of an image, or with a third side and length of a volume."""
    (x, y, *z), (fov_x, fov_y, *fov_z) = sides, lengths
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=x, y=y, z=z[0] if z else 1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=fov_x, y=fov_y, z=fov_z[0] if fov_z else 5.0),
    )


def head(*, encoded=(ROWS, COLUMNS), recon=(ROWS, COLUMNS), fov=(200.0, 160.0), center=None,
         partition_center=None, encoded_fov=None,
         trajectory=xsd.trajectoryType.CARTESIAN):  # fmt: skip
    limits = xsd.encodingLimitsType()
    if center is not None:
        limits.kspace_encoding_step_1 = xsd.limitType(minimum=0, maximum=COLUMNS - 1, center=center)
    if partition_center is not None:
        limits.kspace_encoding_step_2 = xsd.limitType(
            minimum=0, maximum=99, center=partition_center
        )
    encoding = xsd.encodingType(
        encodedSpace=space(encoded, encoded_fov or fov), reconSpace=space(recon, fov),
        trajectory=trajectory, encodingLimits=limits,
    )  # fmt: skip
    return xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=128_000_000),
        encoding=[encoding],
    )


def write_ismrmrd(path, lines, header) -> None:
    """Lines are (array [coils, samples], fields of the acquisition)."""
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(header.toXML("utf-8"))
    for line, fields in lines:
        acquisition = ismrmrd.Acquisition.from_array(
            np.ascontiguousarray(line), *([fields["trajectory"]] if "trajectory" in fields else [])
        )
        acquisition.idx.kspace_encode_step_1 = fields.get("step", 0)
        acquisition.idx.slice = fields.get("slice", 0)
        acquisition.idx.kspace_encode_step_2 = fields.get("partition", 0)
        acquisition.idx.contrast = fields.get("contrast", 0)
        for name in ("position", "read_dir", "phase_dir", "slice_dir"):
            getattr(acquisition, name)[:] = fields.get(name, (0, 0, 0))
        acquisition.encoding_space_ref = fields.get("encoding", 0)
        acquisition.center_sample = fields.get("center_sample", line.shape[1] // 2)
        for flag in fields.get("flags", ()):
            acquisition.setFlag(flag)
        for name in ("discard_pre", "discard_post", "sample_time_us"):
            setattr(acquisition, name, fields.get(name, 0))
        dataset.append_acquisition(acquisition)
    dataset.close()


def lines_of(data, **fields):
    return [(data[:, :, step], {"step": step} | fields) for step in range(data.shape[2])]
