"""The losses against scipy, scikit-learn and their own definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom
from sklearn.metrics import mean_pinball_loss
from torch import Tensor

from adaptive_middleware.finetuning import losses
from adaptive_middleware.scoring import quantiles_reading as reading

LEVELS = (0.1, 0.5, 0.9)
finite = st.floats(-6, 6)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_pinball_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    quantiles, targets = rng.random((40, 3)), rng.integers(0, 9, 40) / 8
    ours = losses.pinball(torch.tensor(quantiles), torch.tensor(targets), numbers(*LEVELS)).mean()
    theirs = [mean_pinball_loss(targets, quantiles[:, i], alpha=level) for i, level in enumerate(LEVELS)]
    assert float(ours) == pytest.approx(np.mean(theirs), abs=1e-12)


@given(logit=finite, spread=st.floats(-2, 5), trials=st.integers(1, 32), share=st.floats(0, 1))
def test_beta_binomial_equals_scipy_up_to_the_constant(
    logit: float, spread: float, trials: int, share: float
) -> None:
    right = round(share * trials)
    mean, size = 1 / (1 + np.exp(-logit)), np.exp(spread)
    ours = losses.beta_binomial(numbers(logit), numbers(spread), numbers(right), numbers(trials))
    same = losses.beta_binomial(numbers(0.3), numbers(1.0), numbers(right), numbers(trials))
    at = (1 / (1 + np.exp(-0.3)), np.exp(1.0))
    difference = betabinom.logpmf(right, trials, at[0] * at[1], (1 - at[0]) * at[1]) - betabinom.logpmf(
        right, trials, mean * size, (1 - mean) * size
    )
    assert float(ours - same) * trials == pytest.approx(difference, abs=1e-7)


def test_one_trial_tells_nothing_of_the_spread_and_is_cross_entropy() -> None:
    spread = numbers(0.5).requires_grad_()
    loss = losses.beta_binomial(numbers(0.7), spread, numbers(1), numbers(1))
    torch.autograd.backward(loss.sum())
    assert spread.grad is not None
    assert float(spread.grad) == pytest.approx(0, abs=1e-12)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-0.7)), abs=1e-9)


@given(raw=st.lists(st.lists(finite, min_size=8, max_size=8), min_size=1, max_size=4))
def test_training_and_scoring_read_increments_alike(raw: list[list[float]]) -> None:
    ours = losses.increments(torch.tensor(raw, dtype=torch.float64)[:, 1:], 3).numpy()
    assert ours == pytest.approx(reading.increments(np.array(raw)[:, 1:], 3), abs=1e-9)


def test_finished_answers_do_not_pull_the_quantiles_of_the_increments_shape() -> None:
    raw = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    known = losses.Targets(torch.tensor([1]), torch.tensor([1]), torch.tensor([True]))
    torch.autograd.backward(losses.loss("increments", numbers(*LEVELS), raw, known).sum())
    assert raw.grad is not None
    assert raw.grad[0, 0] != 0
    assert raw.grad[0, 1:].tolist() == [0, 0, 0]


def test_the_mean_of_the_beta_shape_learns_by_cross_entropy_whatever_the_spread() -> None:
    known = losses.Targets(torch.tensor([3]), torch.tensor([4]), torch.tensor([False]))
    for spread in (-1.0, 3.0):
        raw = torch.tensor([[0.2, spread]], dtype=torch.float64, requires_grad=True)
        torch.autograd.backward(losses.loss("beta", numbers(*LEVELS), raw, known).sum())
        assert raw.grad is not None
        assert raw.grad[0, 0].item() == pytest.approx(1 / (1 + np.exp(-0.2)) - 0.75)
        assert abs(raw.grad[0, 1].item()) > 1e-3


def test_the_paper_s_loss_is_the_pinball_loss_of_sigmoids() -> None:
    raw = torch.tensor([[0.0, 0.0, 0.0]], dtype=torch.float64)
    known = losses.Targets(torch.tensor([8]), torch.tensor([8]), torch.tensor([False]))
    [found] = losses.loss("independent", numbers(*LEVELS), raw, known).tolist()
    assert found == pytest.approx((0.1 * 0.5 + 0.5 * 0.5 + 0.9 * 0.5) / 3)
