"""Label shift: how often each class occurs in an event, read off what a model says of it, and what that changes.

A model learns how often each class occurs where it learns. Where it occurs more or less often, its probabilities are
off by the ratio of the two shares, and are put right by it, if the classes look alike in both (P(x|y) is the same).

BBSE: Lipton, Wang and Smola 2018, Detecting and correcting for label shift with black box predictors (arXiv
1802.03916). EM: Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a classifier to new a priori
probabilities, Neural Computation 14. That EM needs calibrated classes, hence biases: Alexandari, Kundaje and Shrikumar
2020, Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift adaptation (arXiv 1901.06852).

Axes: N samples, K classes. Classes that the held-out samples lack stay as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]

LEAST = 1 / 20
"""Smallest share ratio believed; the largest is its inverse."""
ROUNDS, ENOUGH = 1000, 1e-7
"""Of EM at most, and the change of a share at which it ends."""
STEPS = np.arange(-8, 9) / 4
"""Biases that thresholds are looked for among, in natural logarithms of odds."""
PASSES = 6
"""Over the classes, at most."""


def shares(truth: NDArray[np.integer], classes: int) -> Floats:
    """(K,) how often each class occurs."""
    return np.bincount(truth, minlength=classes) / max(len(truth), 1)


def joint(truth: NDArray[np.integer], said: NDArray[np.integer], classes: int) -> Floats:
    """(K, K) shares of samples called i (row) that are j (column); sums to 1."""
    counts = np.bincount(said * classes + truth, minlength=classes**2).reshape(classes, classes)
    return counts / max(len(truth), 1)


def bbse(held_out: Floats, said: Floats) -> Floats:
    """Ratios (K,) of each class's share in the event to its share in the held-out samples.

    They solve `held_out @ ratio = said` by least squares, none negative, and give shares that sum to 1.

    Args:
        held_out: (K, K) as `joint` gives it.
        said: (K,) how often each class is called in the event.
    """
    prior = held_out.sum(axis=0)
    ratio = np.ones(len(prior))
    known = prior > 0
    found, _ = nnls(held_out[:, known], said)
    total = float(found @ prior[known])
    if total > 0:
        ratio[known] = found / total
    return ratio


def em(probabilities: Floats, prior: Floats) -> Floats:
    """Ratios (K,) of each class's share in the event to `prior`, of greatest likelihood.

    Args:
        probabilities: (N, K) what the model says of the event's samples.
        prior: (K,) shares that these probabilities assume.
    """
    known = prior > 0
    given = probabilities[:, known] / prior[known]
    share = prior[known] / prior[known].sum()
    for _ in range(ROUNDS):
        weighed = given * share
        new = (weighed / weighed.sum(axis=1, keepdims=True)).mean(axis=0)
        change, share = np.abs(new - share).max(), new
        if change < ENOUGH:
            break
    ratio = np.ones(len(prior))
    ratio[known] = share / prior[known]
    return ratio


def offsets(ratio: Floats, strength: float = 1.0) -> Floats:
    """What ratios (K,) add to logits: their logarithms, within what is believed.

    Args:
        ratio: of the shares.
        strength: 0..1: how far to go; the ratios are 1 + strength (ratio - 1), as regularised by Azizzadenesheli et
            al. 2019 (arXiv 1903.09734).
    """
    believed: Floats = np.clip(1 + strength * (ratio - 1), LEAST, 1 / LEAST)
    return np.log(believed)


def biases(logits: Floats, truth: NDArray[np.integer]) -> Floats:
    """Biases (K,) that make each class as probable on average as it is frequent; least cross-entropy.

    Args:
        logits: (N, K).
        truth: (N,) 0..K-1.
    """
    frequency = shares(truth, logits.shape[1])
    known = np.flatnonzero(frequency > 0)
    out = np.zeros(logits.shape[1])
    if len(known) < 2:
        return out

    def loss(bias: Floats) -> tuple[float, Floats]:
        log_p = log_softmax(logits[:, known] + bias, axis=1)
        gradient = np.exp(log_p).mean(axis=0) - frequency[known]
        return -float(log_p[np.arange(len(truth)), np.searchsorted(known, truth)].mean()), gradient

    found = minimize(loss, np.zeros(len(known)), jac=True, method="L-BFGS-B").x
    out[known] = found - found.mean()
    return out


def thresholds(logits: Floats, truth: NDArray[np.integer], ratio: Floats) -> Floats:
    """Biases (K,) whose likeliest class has the greatest mean F1, were the shares those of the event.

    A bias is a threshold of a class: it is called from smaller probabilities on. Found class by class, by steps.

    Args:
        logits: (N, K) of held-out samples, for the event's shares.
        truth: (N,)
        ratio: (K,) weight of the samples of each class.
    """
    classes = logits.shape[1]
    best, bias = _mean_f1(logits, truth, ratio), np.zeros(classes)
    for _ in range(PASSES):
        before = bias
        for k in range(classes):
            tried = [bias + step * (np.arange(classes) == k) for step in STEPS]
            scores = [_mean_f1(logits + one, truth, ratio) for one in tried]
            if max(scores) > best:
                best, bias = max(scores), tried[int(np.argmax(scores))]
        if bias is before:
            break
    centred: Floats = bias - bias.mean()
    return centred


def _mean_f1(logits: Floats, truth: NDArray[np.integer], ratio: Floats) -> float:
    """Of the classes that occur."""
    table = joint(truth, logits.argmax(axis=1), logits.shape[1]) * ratio
    hits, either = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
    there = table.sum(axis=0) > 0
    return float((2 * hits[there] / either[there]).mean()) if there.any() else 0.0


def probabilities(logits: Floats) -> Floats:
    """(N, K) of logits (N, K)."""
    return np.asarray(softmax(logits, axis=1))
