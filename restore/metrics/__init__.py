"""Quality measures of a restored picture and an estimate of its noise."""

from restore.metrics.noise import estimate_noise
from restore.metrics.psnrb import psnrb
from restore.metrics.quality import psnr, ssim

__all__ = ["estimate_noise", "psnr", "psnrb", "ssim"]
