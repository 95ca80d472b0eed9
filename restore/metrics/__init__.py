"""Quality measures of a restored picture and an estimate of its noise."""

from restore.metrics.calibration import coverage
from restore.metrics.haarpsi import haarpsi
from restore.metrics.noise import estimate_noise, noise_of_quietest
from restore.metrics.psnrb import psnrb
from restore.metrics.quality import psnr, ssim

__all__ = ["coverage", "estimate_noise", "haarpsi", "noise_of_quietest", "psnr", "psnrb", "ssim"]
