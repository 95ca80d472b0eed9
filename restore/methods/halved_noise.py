"""Noise that enters x in two halves, before and after an evaluation of the denoiser."""

from __future__ import annotations

from torch import Tensor


def halves(
    kept: float | Tensor, before: Tensor, after: Tensor, covariance: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the factors (b, a) of the noise of a step that keeps the law of what is not measured.

    A step of annealed Langevin dynamics takes x̄ = t + e to x̄' = t' + k e + noise, where t is what
    the denoiser makes of x. Noise of the variance v' - k²v, drawn afresh, keeps Var(e) at v, that
    of the level, but not the picture: t is the mean of what x allows, so that what is drawn anew
    has too little variance. In a direction of a Gaussian prior in which x - x̂ is a(x - m),
    0 < a ≤ 1, that of x settles at

        σ²/a · (1 - (1 - a)(1 - k)/(2 - a(1 - k)))   in the place of   σ²/a.

    A network takes the little texture that it finds for all that there is, and a picture that is
    drawn anew step by step loses it (docs/decisions/0021). With

        b z + a z',   b = a = √(v (1 - k)/2),   z the last step's draw and z' a fresh one,

    it is σ²/a whatever a, since Cov(e, z) = a. For falling levels v' with κ = k√(v/v'),

        a² = v'(1 - κ)/2,   b from k²v + a² + b² + 2kb Cov(e, z) = v',   b ≥ 0,

    which for levels with a constant κ is b = a. What is then missing of the spread is due to the
    distance of the levels: about 0.3 ln(σ/σ') where that is small.

    Args:
        kept: k in [0, 1].
        before: v, in each direction.
        after: v', likewise.
        covariance: Cov(e, z), the a of the last step; of the first one, that has no z, √(v' - k²v).

    Source: Leimkuhler, Matthews, Applied Mathematics Research eXpress 2013, for Langevin dynamics
    at one level; for falling ones derived here.
    """
    ahead = ((after - kept * (before * after).sqrt()) / 2).clamp_min(0)
    common = kept * covariance
    missing = after - kept**2 * before - ahead
    behind = (common.square() + missing).clamp_min(0).sqrt() - common
    return behind.clamp_min(0), ahead.sqrt()
