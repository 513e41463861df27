"""One function per equation.

Logits are float (B, 2, h, w), classes background and nucleus; labels are uint8 (B, h, w) of
BACKGROUND, NUCLEUS, UNKNOWN; masks are bool (B, h, w). Every loss is a mean over the pixels that
count, over the whole batch, and zero (with a zero gradient) where none counts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_noisyseg.method import NUCLEUS, UNKNOWN


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels whose label is not UNKNOWN (SC-Net Eqs. 3 and 4)."""
    counts = (label != UNKNOWN).sum().clamp(min=1)
    total = F.cross_entropy(logits, label.long(), ignore_index=UNKNOWN, reduction="sum")
    return total / counts


def pixel_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of every pixel, float (B, h, w); zero where the label is UNKNOWN."""
    return F.cross_entropy(logits, label.long(), ignore_index=UNKNOWN, reduction="none")


def soft_cross_entropy(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy over `mask` against probabilities of nucleus (B, h, w) (MMC Eqs. 4, 7)."""
    background, nucleus = F.log_softmax(logits, dim=1).unbind(1)
    return masked_mean(-(target * nucleus + (1 - target) * background), mask)


def positive(weights: Tensor) -> Tensor:
    """Weights no less than zero (MLB-Seg Eq. 7); what is no finite number counts as zero."""
    return weights.nan_to_num(0.0, 0.0, 0.0).clamp(min=0)


def normalised_weights(weights: Tensor, jointly: bool = False, epsilon: float = 1e-8) -> Tensor:
    """Weight maps (maps, B, h, w), none below zero, each of sum one over a batch (MLB-Seg Eq. 8).

    jointly: all maps together have sum one (published code). A map without any positive weight
    stays zero.
    """
    kept = positive(weights)
    total = kept.sum() if jointly else kept.sum(dim=(1, 2, 3), keepdim=True)
    return kept / (total + epsilon)


def exceeded(values: Tensor, share: float) -> Tensor:
    """What a share of the values, of any number and shape, exceeds; the largest where that is 0."""
    flat = values.flatten()
    found = flat.kthvalue(max(1, round((1 - share) * len(flat)))).values
    return torch.where(found > 0, found, flat.max())


def moving_average(previous: Tensor, present: Tensor, alpha: float) -> Tensor:
    """p_n = alpha y + (1 - alpha) p_(n-1) (SC-Net Eq. 5); where p_(n-1) is NaN, p_n = y."""
    average = alpha * present + (1 - alpha) * previous
    return torch.where(previous.isnan(), present, average)


def fill_unknown(pseudo: Tensor, label: Tensor) -> Tensor:
    """The pseudo label (B, h, w), kept only where the coarse label is UNKNOWN (SC-Net Eq. 6)."""
    return torch.where(label == UNKNOWN, pseudo, label.to(pseudo.dtype))


def kl_divergence(target: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Mean of sum_k p_k log(p_k / y_k) over `mask` (SC-Net Eq. 7), k background and nucleus.

    target: probability of nucleus, float (B, h, w); pixels where it is NaN do not count. The paper
    writes the nucleus term alone, which is not bounded below; the sum is the divergence it names.
    """
    counts = mask & ~target.isnan()
    p = torch.where(counts, target, 0.0)
    p = torch.stack([1 - p, p], dim=1)
    divergence = (torch.xlogy(p, p) - p * F.log_softmax(logits, dim=1)).sum(dim=1)
    return masked_mean(divergence, counts)


def color_distance(colors: Tensor, image: Tensor, mask: Tensor, power: int = 2) -> Tensor:
    """Mean of ||C(S(x_h)) - x||_2^2 over `mask` (SC-Net Eq. 8); power=1: ||.||_1 (published code).

    colors, image: RGB in 0..1, (B, 3, h, w); the norm sums over the channels.
    """
    distance = (colors - image).abs().pow(power).sum(dim=1)
    return masked_mean(distance, mask)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (B, h, w) where mask is set; zero where it is nowhere."""
    kept = torch.where(mask, values, 0.0)
    return kept.sum() / mask.sum().clamp(min=1)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of values (B, h, w) by weights of the same shape; zero where all weights are."""
    return (values * weight).sum() / weight.sum().clamp(min=1e-12)


def joint_determinant(p: Tensor, label: Tensor, mask: Tensor) -> Tensor:
    """Determinant of Q = P S^T of (p, 1 - p), (s, 1 - s), per pixel (Eq. 3 of iGTT).

    p, label: probabilities of nucleus (B, h, w); of all pixels of the batch in `mask`. It is the
    covariance of p and s: below zero where a prediction is the inverse of its label.
    """
    p, label = torch.where(mask, p, 0.0).flatten(), torch.where(mask, label, 0.0).flatten()
    count = mask.sum().clamp(min=1)
    inside = mask.flatten().to(p.dtype)
    sides = [torch.stack([v, inside - v]) for v in (p, label)]
    joint = sides[0] @ sides[1].T / count
    return joint[0, 0] * joint[1, 1] - joint[0, 1] * joint[1, 0]


def information_loss(determinant: Tensor, epsilon: float = 1e-6) -> Tensor:
    """L_DMI = -log |det Q| (Eq. 3 of iGTT; Xu et al. 2019), finite where det Q = 0."""
    return -(determinant.abs() + epsilon).log()


def soft_iou(p: Tensor, label: Tensor, mask: Tensor, epsilon: float = 1e-6) -> Tensor:
    """1 - sum(p s) / sum(p + s - p s) over the whole batch (Huang et al. 2019; iGTT, 6.4)."""
    p, label = torch.where(mask, p, 0.0), torch.where(mask, label, 0.0)
    shared = (p * label).sum()
    return 1 - (shared + epsilon) / ((p + label).sum() - shared + epsilon)


def rising(fraction: float, eta: float) -> float:
    """Weight of co-training, alpha = eta (N / N_max)^2 (SC-Net, below Eq. 9)."""
    return eta * fraction**2


def falling(fraction: float, epsilon: float) -> float:
    """Weight of colorization, beta = epsilon (1 - N / N_max)^2 (SC-Net, below Eq. 9)."""
    return epsilon * (1 - fraction) ** 2


def falling_late(fraction: float, epsilon: float) -> float:
    """The same in the published code of SC-Net, beta = epsilon (1 - (N / N_max)^2)."""
    return epsilon * (1 - fraction**2)


def stepped_rate(fraction: float, rate: float, every: float = 0.3) -> float:
    """The learning rate divided by ten after each `every` of the schedule (30 of 100 epochs)."""
    return float(rate * 0.1 ** int(fraction / every + 1e-9))


def cosine_rate(fraction: float, rate: float, warmup: float = 0.02) -> float:
    """A short linear rise from a tenth, then half a cosine down to a hundredth of `rate`."""
    if fraction < warmup:
        return rate * (0.1 + 0.9 * fraction / warmup)
    phase = torch.pi * (fraction - warmup) / (1 - warmup)
    return float(rate * (0.01 + 0.495 * (1 + torch.cos(torch.tensor(phase)).item())))


def superpixel_mean(values: Tensor, index: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Means of values (B, C, h, w) over superpixels, (K, C), and their sizes, (K,) (SP Eq. 1).

    index: int (B, h, w) from 0 (`superpixel_index`); only pixels of `mask` count. All superpixels
    at once, by scatter-add; those without a pixel have size and means zero.
    """
    flat, count = index.reshape(-1), int(index.max()) + 1

    def summed(plane: Tensor) -> Tensor:
        return plane.new_zeros(count).scatter_add_(0, flat, plane.reshape(-1))

    sizes = summed(mask.to(values.dtype))
    sums = [summed(torch.where(mask, plane, 0.0)) for plane in values.unbind(1)]
    return torch.stack(sums, dim=1) / sizes.clamp(min=1)[:, None], sizes


def superpixel_index(ids: Tensor) -> Tensor:
    """Numbers from 0 that tell superpixels of different tiles apart too, int (B, h, w).

    ids: int (B, h, w), each tile's own.
    """
    ids = ids - ids.amin(dim=(1, 2), keepdim=True)
    tile = torch.arange(len(ids), device=ids.device)[:, None, None]
    return ids + tile * (ids.max() + 1)


def co_regularised(logs: tuple[Tensor, Tensor], target: Tensor, balance: float) -> Tensor:
    """(1 - lambda) (ce_1 + ce_2) + lambda KL(p_1, p_2), KL symmetric (SP Eq. 2, JoCoR Eqs. 1-4).

    logs: log probabilities (..., 2) of two networks; target: probabilities (..., 2) of the label.
    """
    one, two = logs
    entropy = -(target * (one + two)).sum(dim=-1)
    divergence = ((one.exp() - two.exp()) * (one - two)).sum(dim=-1)
    return (1 - balance) * entropy + balance * divergence


def small_loss(loss: Tensor, sizes: Tensor, share: float) -> Tensor:
    """Which superpixels are kept, bool (K,): those of smallest loss until N >= R M (SP Eq. 3).

    loss, sizes: (K,); share: R, of the M pixels of all of them.
    """
    order = loss.argsort(stable=True)
    before = sizes[order].cumsum(0) - sizes[order]
    kept = torch.zeros_like(loss, dtype=torch.bool)
    kept[order] = before < share * sizes.sum()
    return kept & (sizes > 0)


def large_loss(loss: Tensor, sizes: Tensor, share: float) -> Tensor:
    """Which superpixels are relabelled, bool (K,): largest loss while N <= (1 - R) M (SP Eq. 6)."""
    order = loss.argsort(descending=True, stable=True)
    after = sizes[order].cumsum(0)
    taken = torch.zeros_like(loss, dtype=torch.bool)
    taken[order] = after <= (1 - share) * sizes.sum() + 1e-6
    return taken & (sizes > 0)


def loss_gap(loss: Tensor, kept: Tensor, sizes: Tensor) -> Tensor:
    """Mean loss of the superpixels not kept, less that of the kept ones (SP Eq. 5)."""
    left = ~kept & (sizes > 0)
    if not left.any() or not kept.any():
        return loss.new_zeros(())
    return loss[left].mean() - loss[kept].mean()


def vote(one: Tensor, two: Tensor) -> Tensor:
    """Mean probability of nucleus of two networks' superpixel means (K, 2) (SP Eq. 7)."""
    return (one[:, NUCLEUS] + two[:, NUCLEUS]) / 2


def voted_label(label: Tensor, index: Tensor, taken: Tensor, votes: Tensor) -> Tensor:
    """Labels (B, h, w), those of relabelled superpixels by the vote (SP Eq. 8)."""
    voted = (votes > 0.5).to(label.dtype)
    return torch.where(taken[index], voted[index], label)
