"""Linear operators for imaging: y = A x with adjoint, algebra, normal equations and fast SVD."""

from operators.base import LinearOperator
from operators.blur import Blur
from operators.cg import ConvergenceError
from operators.checks import check_adjoint, check_svd
from operators.colorize import Colorize
from operators.diagonal import Diagonal
from operators.fan_beam import FanBeamCT
from operators.fourier import CartesianMRI, Fourier
from operators.hadamard import Hadamard
from operators.hinted import HintedColorize
from operators.identity import Identity
from operators.jpeg import Jpeg
from operators.kernels import box_kernel, disk_kernel, gaussian_kernel, motion_kernel
from operators.mask import Mask
from operators.non_cartesian import NonCartesianMRI, density_compensation
from operators.odl_operator import OdlOperator
from operators.parallel_beam import ParallelBeamCT
from operators.ray_svd import RayFactors, factor_bytes, ray_factors
from operators.resize import Downsample, Resize, resize_matrix
from operators.sense import SenseMRI
from operators.separable import Separable
from operators.space import ShapeError, Space
from operators.svd import NoFastSVD, ThinSVD
from operators.turn import Turn

__all__ = [
    "Blur",
    "CartesianMRI",
    "Colorize",
    "ConvergenceError",
    "Diagonal",
    "Downsample",
    "FanBeamCT",
    "Fourier",
    "Hadamard",
    "HintedColorize",
    "Identity",
    "Jpeg",
    "LinearOperator",
    "Mask",
    "NoFastSVD",
    "NonCartesianMRI",
    "OdlOperator",
    "ParallelBeamCT",
    "RayFactors",
    "Resize",
    "SenseMRI",
    "Separable",
    "ShapeError",
    "Space",
    "ThinSVD",
    "Turn",
    "box_kernel",
    "check_adjoint",
    "check_svd",
    "density_compensation",
    "disk_kernel",
    "factor_bytes",
    "gaussian_kernel",
    "motion_kernel",
    "ray_factors",
    "resize_matrix",
]
