import numpy as np
import pytest
import torch

from restore.tasks.colorize import colour_problem, luma_of, with_luma
from restore.tasks.spread import spread_colours


def test_the_luma_is_kept_and_the_hue_too():
    """Colours out of the range, and lumas up to black and white."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(2, 3, 20, 30, generator=generator) - 0.5
    luma = torch.rand(1, 1, 20, 30, generator=generator)
    luma[..., 0, 0], luma[..., 0, 1], luma[..., 0, 2] = 0, 1, 1 / 255
    kept = with_luma(x, luma)
    assert 0 <= kept.min() <= kept.max() <= 1
    rounded = (kept * 255).round() / 255
    assert (luma_of(rounded) - luma).abs().max() <= 0.5 / 255 + 1e-6
    # The chroma is a multiple of what it was, of 1 where the colour has room.
    chroma, wanted = kept - luma, x - luma_of(x)
    share = (chroma * wanted).sum(1) / wanted.square().sum(1)
    torch.testing.assert_close(chroma, share[:, None] * wanted, atol=1e-5, rtol=0)
    assert share.max() <= 1 + 1e-5
    inside = ((luma + wanted).clamp(0, 1) == luma + wanted).all(1)
    torch.testing.assert_close(share[inside], torch.ones_like(share[inside]))
    # No other share of the chroma would do where it is cut: some channel is at the edge.
    edge = torch.minimum(kept, 1 - kept).amin(1)
    assert edge[~inside].max() < 1e-5


def test_a_stroke_fills_its_area_and_stops_at_the_edge():
    luma = torch.full((24, 40), 0.3)
    luma[:, 20:] = 0.7
    known = torch.zeros(24, 40, dtype=torch.bool)
    chroma = torch.zeros(2, 24, 40)
    for column, colour in ((5, (0.2, -0.1)), (33, (-0.1, 0.3))):
        known[10:13, column : column + 2] = True
        chroma[:, 10:13, column : column + 2] = torch.tensor(colour)[:, None, None]
    spread = spread_colours(luma, known, chroma)
    left, right = torch.tensor([0.2, -0.1]), torch.tensor([-0.1, 0.3])
    torch.testing.assert_close(spread[:, :, :19].mean((1, 2)), left, atol=0.02, rtol=0)
    torch.testing.assert_close(spread[:, :, 21:].mean((1, 2)), right, atol=0.02, rtol=0)
    assert torch.equal(spread[:, known], chroma[:, known])


def test_a_large_picture_is_spread_at_a_fraction(monkeypatch):
    from restore.tasks import spread

    generator = torch.Generator().manual_seed(0)
    luma = torch.rand(31, 45, generator=generator)
    known = torch.rand(31, 45, generator=generator) < 0.1
    chroma = torch.linspace(-0.2, 0.2, 45).expand(1, 31, 45).contiguous()
    whole = spread_colours(luma, known, chroma)
    monkeypatch.setattr(spread, "PIXELS", 31 * 45 // 3)
    part = spread_colours(luma, known, chroma)
    assert part.shape == whole.shape
    assert (part - whole).abs().mean() < 0.02
    assert torch.equal(part[:, known], chroma[:, known])


@pytest.mark.parametrize("hinted", [False, True])
def test_the_start_fits_the_measurement(hinted):
    generator = torch.Generator().manual_seed(0)
    luma = torch.rand(1, 1, 12, 16, generator=generator)
    known = torch.rand(12, 16, generator=generator) < 0.2
    hints = (known, torch.rand(3, 12, 16, generator=generator)) if hinted else None
    problem, start, described = colour_problem(luma, hints, 0.001)
    torch.testing.assert_close(problem.operator(start), problem.y, atol=1e-5, rtol=0)
    assert described.get("hinted_pixels") == (int(known.sum()) if hinted else None)
    if not hinted:
        assert np.array_equal(start[0, 0].numpy(), start[0, 2].numpy())
