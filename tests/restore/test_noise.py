from __future__ import annotations

import pytest
import torch

from restore import noise
from restore.noise import NoiseSource, PlacedNoise, seeded_generator

CHAINS = [(sample, picture) for sample in range(3) for picture in range(2)]


def _draws(seed: int, chains: list[tuple[int, int]], count: int = 3) -> list[torch.Tensor]:
    source = NoiseSource(seed, chains)
    return [source(torch.empty(len(chains), 3, 8, 8)) for _ in range(count)]


def test_a_row_does_not_depend_on_the_batch():
    together = _draws(5, CHAINS)
    for row, chain in enumerate(CHAINS):
        for all_rows, alone in zip(together, _draws(5, [chain]), strict=True):
            assert torch.equal(all_rows[row], alone[0])


def test_everything_of_the_key_matters():
    values = [*_draws(0, CHAINS), *_draws(1, CHAINS)]
    rows = torch.cat([draw.flatten(1) for draw in values])
    assert torch.cdist(rows, rows).add(1e9 * torch.eye(len(rows))).min() > 1


@pytest.mark.parametrize("kind", [NoiseSource, PlacedNoise])
def test_drawing_ahead_changes_nothing(kind, monkeypatch):
    likes = [torch.empty(6, *shape) for shape in ((3, 8, 70), (1, 4, 4), (9,), (3, 8, 70), (9,))]
    source = kind(5, CHAINS)
    expected = [source(like) for like in likes]
    monkeypatch.setattr(noise, "_draws_ahead", lambda device: True)
    source = kind(5, CHAINS)
    with torch.inference_mode():
        for one, like in zip(expected, likes, strict=True):
            assert torch.equal(one, source(like))


def test_a_draw_of_another_shape_between_changes_nothing():
    source = NoiseSource(5, CHAINS)
    _, second, _ = _draws(5, CHAINS)
    for shape in ((3, 8, 8), (1, 4, 4)):
        source(torch.empty(6, *shape))
    assert torch.equal(source(torch.empty(6, 3, 8, 8)), second)


def test_number_types_see_the_same_noise(device):
    like = torch.empty(6, 3, 8, 8, device=device)
    single = NoiseSource(2, CHAINS)(like)
    assert single.device.type == device.type
    assert torch.equal(single, NoiseSource(2, CHAINS)(like.to(torch.float64)).float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_is_standard_normal(dtype):
    """393,216 numbers; mean, variance and fourth moment within 6 standard errors (2e-9 each)."""
    z = NoiseSource(1, [(0, 0), (7, 3)])(torch.empty(2, 3, 256, 256, dtype=dtype))
    parts = [z.real, z.imag] if dtype.is_complex else [z]
    for part in parts:
        root = part.numel() ** 0.5
        assert part.mean().abs() * root < 6
        assert (part.square().mean() - 1).abs() * root < 6 * 2**0.5
        assert (part.pow(4).mean() - 3).abs() * root < 6 * 96**0.5
    first, second = z.flatten(1)
    assert (first * second.conj()).real.mean().abs() * len(first) ** 0.5 < 6 * len(parts) ** 0.5


def test_refuses():
    with pytest.raises(ValueError, match="seed is -1"):
        NoiseSource(-1)
    with pytest.raises(ValueError, match="batch is 3"):
        NoiseSource(0, CHAINS)(torch.empty(3, 1, 8, 8))


def test_is_single_precision_whatever_torch_makes_by_default():
    expected = NoiseSource(0)(torch.empty(1, 4, 4))
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        found = NoiseSource(0)(torch.empty(1, 4, 4, dtype=torch.float32))
    finally:
        torch.set_default_dtype(before)
    assert torch.equal(found, expected)


def test_a_seed_of_any_size_is_one():
    """torch refuses those of more than 64 bits."""
    draws = [torch.rand(4, generator=seeded_generator(seed)) for seed in (0, 1, 2**32 - 1, 10**30)]
    assert torch.cdist(torch.stack(draws), torch.stack(draws)).fill_diagonal_(1).min() > 0.1
    assert not torch.equal(draws[0], torch.rand(4, generator=NoiseSource(0)._stream(0, 0, 4)))
