import pytest
import torch

from operators import Diagonal, ParallelBeamCT, ShapeError, check_adjoint, check_svd

SHAPE = (1, 3, 4)


def test_weights_each_value_with_an_exact_adjoint_and_svd() -> None:
    weights = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    operator = Diagonal(weights, SHAPE)
    x = torch.ones(2, *SHAPE)
    assert torch.equal(operator(x), weights.expand(2, *SHAPE))
    assert check_adjoint(operator) < 1e-6
    check_svd(operator)


def test_a_batch_has_weights_of_its_own() -> None:
    weights = torch.arange(24.0).reshape(2, *SHAPE)
    operator = Diagonal(weights, SHAPE)
    assert operator.batch_shape == (2,)
    taken = operator.take(torch.tensor([1, 1]))
    assert torch.equal(taken(torch.ones(2, *SHAPE)), weights[[1, 1]])
    angles = torch.linspace(0, 3, 3)
    whitened = operator @ ParallelBeamCT((1, 4, 4), angles, 4)
    assert whitened.batch_shape == (2,)
    assert check_adjoint(whitened, batch=(2,)) < 1e-5


@pytest.mark.parametrize("weights", [torch.full(SHAPE, -1.0), torch.full(SHAPE, torch.nan)])
def test_refuses_weights_that_are_none(weights: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="not negative"):
        Diagonal(weights, SHAPE)


def test_refuses_another_shape() -> None:
    with pytest.raises(ShapeError, match="the weights are"):
        Diagonal(torch.ones(3, 3), SHAPE)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_refuses_another_batch(batch: tuple[int, ...]) -> None:
    operator = Diagonal(torch.ones(4, *SHAPE), SHAPE)
    with pytest.raises(ShapeError, match=r"Diagonal: input is .*; the operator is one of a batch"):
        operator(torch.ones(*batch, *SHAPE))
    assert operator(torch.ones(2, 4, *SHAPE)).shape == (2, 4, *SHAPE)
