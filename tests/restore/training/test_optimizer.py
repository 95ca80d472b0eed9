import pytest
import torch

from restore.prior.networks.gated_unet import GatedUNet
from restore.training.optimizer import Muon, optimizers, orthogonalised


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalised(matrix)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3
    assert values.max() < 1.3
    # The singular vectors stay those of the matrix: Uᵀ R V is diagonal.
    rotated = u.T @ result @ vh.T
    assert (rotated - rotated.diagonal().diag()).abs().max() < 1e-4


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (128, 8, 2, 2)])
def test_an_update_has_the_size_of_adams(shape):
    """Root mean square 0.2, but for singular values between 0.7 and 1.2."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=generator)
    Muon([weight], lr=1.0).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.25)


def test_every_parameter_has_one_optimizer():
    network = GatedUNet(3, widths=(8, 8), blocks=(1, 1))
    held = [p for o in optimizers(network, 1e-3, 1e-3) for g in o.param_groups for p in g["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(network.parameters()))


def test_muon_descends():
    """Least squares with a convolution kernel: the loss falls a hundredfold."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(4, 3, 3, 3))
    x, target = torch.randn(32, 27), torch.randn(27, 4)
    optimizer = Muon([weight], lr=0.1)

    def loss():
        return (x @ (weight.flatten(1).T - target)).square().mean()

    before = loss().item()
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < before / 100


def test_muons_momentum_is_nesterovs_of_0_95():
    """Two different gradients: m ← 0.95 m + 0.05 g, and the update is of 0.95 m + 0.05 g."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(4, 3, 2, 2))
    optimizer = Muon([weight], lr=1.0)
    momentum, expected = torch.zeros(4, 12), torch.zeros(4, 12)
    for _ in range(2):
        weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
        gradient = weight.grad.flatten(1)
        momentum = 0.95 * momentum + 0.05 * gradient
        nesterov = 0.95 * momentum + 0.05 * gradient
        expected -= 0.2 * 12**0.5 * orthogonalised(nesterov)
    torch.testing.assert_close(weight.detach().flatten(1), expected, atol=1e-4, rtol=1e-4)


def test_muon_has_the_inner_convolutions_and_adam_the_rest():
    network = GatedUNet(3, widths=(8, 8), blocks=(1, 1))
    muon, adam = optimizers(network, 1e-3, 2e-3)
    names = {id(p): n for n, p in network.named_parameters()}
    inner = {names[id(p)] for p in muon.param_groups[0]["params"]}
    convolutions = {n for n, p in network.named_parameters() if p.ndim == 4}
    assert convolutions - inner == {"stem.weight", "head.weight"}
    assert inner < convolutions
    group = adam.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-3, (0.9, 0.99), 0.0)
