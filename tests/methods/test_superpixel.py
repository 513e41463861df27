"""Superpixel-guided learning against values worked out otherwise: loops over superpixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import selection
from napari_noisyseg.learning.pixelwise import PixelwiseConfig
from napari_noisyseg.learning.settings.superpixel import SuperpixelConfig
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, Batch, Progress, TrainingImage
from napari_noisyseg.methods.coteaching import CoTeaching
from napari_noisyseg.methods.jocor import JoCoR
from napari_noisyseg.methods.superpixel import PLANE, Superpixel

MIDDLE = Progress(epoch=5, epochs=10, step=50, fraction=0.5)
TINY: dict[str, Any] = {
    "width": 4, "encoder": "1-1-1", "stem": "stride1", "warmup": 0.0, "noise_rate": 0.2,
    "per_class": False, "average_weights": 0.0, "sure_only": False,
    "cut_by_label": False,
    "select": True,
}  # fmt: skip

Build = Callable[..., Superpixel]


@pytest.fixture
def build() -> Build:
    def make(**changes: Any) -> Superpixel:
        config = SuperpixelConfig.from_preset("small", **{**TINY, **changes})
        return Superpixel(config, "cpu", seed=1)

    return make


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def batch(generator: torch.Generator) -> Batch:
    """Superpixels of 4x4 px; the last columns unknown, a corner clean."""
    rough = torch.randint(0, 2, (2, 16, 24), generator=generator, dtype=torch.uint8)
    rough[:, :, 20:] = UNKNOWN
    clean = torch.full_like(rough, UNKNOWN)
    clean[:, :3, :3], rough[:, :3, :3] = NUCLEUS, UNKNOWN
    image = torch.rand(2, 3, 16, 24, generator=generator)
    known = torch.ones(2, 16, 24, dtype=torch.bool)
    return Batch(
        image, image[:, :1], {"rough": rough, "clean": clean, "given": rough}, known, known, {},
        torch.zeros(2, dtype=torch.long), superpixels=squares(16, 24).expand(2, 16, 24),
    )  # fmt: skip


def squares(height: int, width: int, side: int = 4) -> Tensor:
    rows, columns = torch.arange(height) // side, torch.arange(width) // side
    return rows[:, None] * (width // side) + columns + 1


def image_of(batch: Batch, tile: int = 0) -> TrainingImage:
    """One tile of a batch as a whole image."""
    assert batch.superpixels is not None
    return TrainingImage(
        name=str(tile),
        image=batch.image[tile].numpy(),
        hematoxylin=batch.hematoxylin[tile].numpy(),
        labels={name: label[tile].numpy() for name, label in batch.labels.items()},
        known=batch.known[tile].numpy(),
        tissue=batch.tissue[tile].numpy(),
        points=np.zeros((0, 2)),
        superpixels=batch.superpixels[tile].numpy().astype(np.int32),
    )


def test_equation_1_by_a_loop(batch: Batch, generator: torch.Generator) -> None:
    values = torch.rand(2, 3, 16, 24, generator=generator)
    mask = batch.labels["rough"] != UNKNOWN
    assert batch.superpixels is not None
    index = losses.superpixel_index(batch.superpixels)
    means, sizes = losses.superpixel_mean(values, index, mask)
    assert len(means) == 2 * 24
    for tile in range(2):
        for k in range(1, 25):
            inside = (batch.superpixels[tile] == k) & mask[tile]
            row = index[tile][batch.superpixels[tile] == k].unique().item()
            assert sizes[row] == inside.sum()
            expected = values[tile][:, inside].mean(1) if inside.any() else torch.zeros(3)
            torch.testing.assert_close(means[row], expected)


def test_equation_2_by_hand() -> None:
    p, q, y = (0.7, 0.3), (0.4, 0.6), (0.25, 0.75)
    entropy = -sum(c * (math.log(a) + math.log(b)) for a, b, c in zip(p, q, y, strict=True))
    one = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    two = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    logs = (torch.tensor(p).log(), torch.tensor(q).log())
    found = losses.co_regularised(logs, torch.tensor(y), 0.65).item()
    assert found == pytest.approx(0.35 * entropy + 0.65 * (one + two), rel=1e-5)


@pytest.mark.parametrize(
    ("share", "kept", "taken"),
    [(0.5, [1, 3], [0, 2]), (0.6, [1, 3], [0, 2]), (0.61, [1, 2, 3], [0]), (1.0, [0, 1, 2, 3], [])],
)
def test_equations_3_and_6(share: float, kept: list[int], taken: list[int]) -> None:
    """Of 10 pixels: sizes 2, 4, 2, 2 with losses 9, 1, 3, 2; a superpixel of no pixel has none."""
    loss = torch.tensor([9.0, 1.0, 3.0, 2.0, 0.0])
    sizes = torch.tensor([2.0, 4.0, 2.0, 2.0, 0.0])
    assert losses.small_loss(loss, sizes, share).nonzero().flatten().tolist() == kept
    assert losses.large_loss(loss, sizes, share).nonzero().flatten().tolist() == taken


def test_equation_5() -> None:
    loss, sizes = torch.tensor([9.0, 1.0, 3.0, 2.0, 7.0]), torch.tensor([2.0, 4, 2, 2, 0])
    kept = torch.tensor([False, True, False, True, False])
    assert losses.loss_gap(loss, kept, sizes).item() == pytest.approx(6 - 1.5)
    assert losses.loss_gap(loss, sizes > 0, sizes).item() == 0


def test_equations_7_and_8() -> None:
    one = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    two = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
    votes = losses.vote(one, two)
    torch.testing.assert_close(votes, torch.tensor([0.6, 0.3, 0.8]))
    index = torch.tensor([[[0, 0, 1], [2, 2, 1]]])
    label = torch.tensor([[[0, 1, 1], [0, 0, 0]]], dtype=torch.uint8)
    after = losses.voted_label(label, index, torch.tensor([True, True, False]), votes)
    assert after.tolist() == [[[1, 1, 0], [0, 0, 0]]]


def test_a_step_is_the_mean_loss_of_kept_and_clean_pixels(build: Build, batch: Batch) -> None:
    """Eqs. 1-4 by a loop over superpixels, in float64."""
    method = build(balance=0.65)
    method.peers.nets.train()
    with torch.no_grad():
        a, b = method.peers.logits(batch.image, batch.hematoxylin)
    p, q = (z.double().softmax(1) for z in (a, b))
    rough, clean = batch.labels["rough"], batch.labels["clean"]
    assert batch.superpixels is not None

    def eq2(p: Tensor, q: Tensor, y: Tensor) -> float:
        entropy = -(y * (p.log() + q.log())).sum()
        return float(0.35 * entropy + 0.65 * ((p * (p / q).log()) + q * (q / p).log()).sum())

    def one_hot(nucleus: Tensor | float) -> Tensor:
        return torch.tensor([1 - float(nucleus), float(nucleus)], dtype=torch.float64)

    parts = []
    for tile in range(2):
        for k in range(1, 25):
            inside = (batch.superpixels[tile] == k) & (rough[tile] != UNKNOWN)
            if inside.any():
                y = one_hot((rough[tile][inside] == NUCLEUS).double().mean())
                loss = eq2(p[tile][:, inside].mean(1), q[tile][:, inside].mean(1), y)
                parts.append((loss, tile, inside))
    parts.sort(key=lambda part: part[0])
    total = sum(int(inside.sum()) for *_, inside in parts)
    mask, count = clean != UNKNOWN, 0
    for _, tile, inside in parts:
        if count >= 0.8 * total:
            break
        mask[tile] |= inside
        count += int(inside.sum())
    label = torch.where(clean != UNKNOWN, clean, rough)
    pixels = [
        eq2(p[t, :, y, x], q[t, :, y, x], one_hot(label[t, y, x])) for t, y, x in mask.nonzero()
    ]
    found = method.step(batch, MIDDLE)
    assert found.losses["total"] == pytest.approx(float(np.mean(pixels)), rel=1e-4)
    assert found.figures["kept"] == pytest.approx(count / total)
    assert found.figures["noise_rate"] == 0.2


def test_during_the_warm_up_everything_teaches(build: Build, batch: Batch) -> None:
    assert build(warmup=0.6).step(batch, MIDDLE).figures["kept"] == 1
    assert build(warmup=0.4).step(batch, MIDDLE).figures["kept"] < 1


def test_without_selection_all_pixels_teach(build: Build, batch: Batch) -> None:
    whole = build(select=False).step(batch, MIDDLE).losses["total"]
    assert whole == build(warmup=0.6).step(batch, MIDDLE).losses["total"]
    assert whole > build().step(batch, MIDDLE).losses["total"]


def test_classes_apart_have_as_many_wrong_pixels_each() -> None:
    nuclei, rest = torch.tensor([0.0, 20.0]), torch.tensor([80.0, 0.0])
    assert selection.shares(0.9, nuclei, rest) == pytest.approx((0.75, 1 - 5 / 80))
    assert selection.shares(0.5, nuclei, rest)[0] == 0.5


def test_only_what_is_sure_is_relabelled() -> None:
    """Nuclei 0-3 are believed 0.7 on average, background 4-7 0.8: 0.7 and 0.8 are sure."""
    votes = torch.tensor([0.9, 0.9, 0.95, 0.05, 0.05, 0.05, 0.0, 0.7])
    nucleus = torch.arange(8) < 4
    loss = torch.tensor([0.1, 0.1, 0.1, 3.0, 0.1, 0.1, 0.1, 1.5])
    judged = selection.Judged(torch.empty(0), loss, torch.ones(8), votes, nucleus)
    assert selection.surely_wrong(judged, 0.5).nonzero().flatten().tolist() == [3, 7]
    assert selection.surely_wrong(judged, 0.8).nonzero().flatten().tolist() == [3]
    unsure = replace(judged, votes=torch.where(votes == 0.7, 0.6, votes))
    assert selection.surely_wrong(unsure, 0.5).nonzero().flatten().tolist() == [3]


def test_few_labels_are_outweighed_where_most_labels_are_right() -> None:
    """In the first image a tenth of the labels seems wrong, in the second a half: Bayes' rule."""
    votes = torch.tensor([0.2] + [0.85] * 9 + [0.2] * 5 + [0.85] * 5)
    nucleus, index = torch.ones(20, dtype=torch.bool), torch.arange(20).view(2, 2, 5)
    judged = selection.Judged(index, 1 - votes, torch.ones(20), votes, nucleus)
    shares = selection.share_of_tile(votes < 0.5, judged)
    assert shares[[0, 19]].tolist() == pytest.approx([0.1, 0.5])
    assert selection.outweighed(judged).nonzero().flatten().tolist() == list(range(10, 15))
    surer = replace(judged, votes=torch.where(torch.arange(20) == 0, 0.05, votes))
    assert 0 in selection.outweighed(surer).nonzero().flatten().tolist()


def test_every_sample_knows_its_tile(batch: Batch) -> None:
    index = selection.pieces_of(batch, True, True)
    tile = selection.tile_of(index)
    for number in range(len(index)):
        assert set(tile[index[number].unique()].tolist()) == {number}


def test_superpixels_are_cut_where_the_label_ends(build: Build, batch: Batch) -> None:
    label, doubtful, _ = selection.target_of(batch)
    even = (torch.full((2, 2, 16, 24), 0.5), torch.full((2, 2, 16, 24), 0.5))
    whole = build()._judge(even, batch, label, doubtful)
    judged = build(cut_by_label=True)._judge(even, batch, label, doubtful)
    of_pixel = judged.nucleus[judged.index]
    assert torch.equal(of_pixel[doubtful], label[doubtful] == NUCLEUS)
    assert (judged.sizes > 0).sum() > 1.5 * (whole.sizes > 0).sum()


def relabelled(method: Superpixel, batch: Batch) -> Any:
    """What `revise` yields when a round of two epochs, whose gap rose, is over."""
    image = image_of(batch)
    for epoch in range(2):
        method.rounds.add(1.0 + epoch)
        found = list(method.revise(replace(MIDDLE, epoch=epoch + 1), [image]))
    return found


def test_a_round_relabels_the_largest_losses(build: Build, batch: Batch) -> None:
    method = build(round_epochs=2, growth=1.1)
    (revision,) = relabelled(method, batch)
    before, after = revision.reasons["before"], revision.values
    taken, vote, loss = (revision.reasons[name] for name in ("taken", "vote", "loss"))
    doubtful = batch.labels["rough"][0].numpy() != UNKNOWN
    assert revision.plane == PLANE
    assert revision.round == 1
    assert np.array_equal(np.isnan(after), ~doubtful)
    # at most 1 - R of the pixels, and the last superpixel would have been one too many
    share = (taken[doubtful] > 0).mean()
    assert 0.2 - 16 / doubtful.sum() < share <= 0.2
    assert np.nanmin(loss[taken == 1]) >= np.nanmax(loss[taken == 0])
    assert np.array_equal(after[taken == 1], (vote[taken == 1] > 0.5).astype(np.float32))
    assert np.array_equal(after[taken == 0], before[taken == 0])
    assert method.rounds.number == 1
    assert method.share == pytest.approx(0.8 * 1.1)


def test_no_more_is_relabelled_than_is_noise(build: Build, batch: Batch) -> None:
    """R of Eq. 6 is that of the round that ended; once it is 1, nothing is left to relabel."""
    method = build(round_epochs=2, growth=1.1, noise_rate=0.05, sure_only=False)
    (first,) = relabelled(method, batch)
    taken = first.reasons["taken"][~np.isnan(first.values)]
    assert (taken > 0).mean() <= 0.05
    (second,) = relabelled(method, batch)
    assert not (np.nan_to_num(second.reasons["taken"]) > 0).any()


def test_a_round_of_one_epoch_relabels(build: Build, batch: Batch) -> None:
    method = build(round_epochs=1, most_rounds=3)
    method.rounds.add(1.0)
    assert len(list(method.revise(MIDDLE, [image_of(batch)]))) == 1


def test_clean_pixels_are_never_relabelled(build: Build, batch: Batch) -> None:
    """Even where the plane of another round says so, and whatever the rough label was."""
    contrary = torch.zeros(2, 16, 24)
    planes = {PLANE: contrary}
    label, doubtful, trusted = selection.target_of(replace(batch, planes=planes), PLANE)
    assert (label[:, :3, :3] == NUCLEUS).all()
    assert (label[doubtful] == BACKGROUND).all()
    assert not (doubtful & trusted).any()
    explained = build().explain(replace(batch, planes=planes))
    assert (explained["corrected"][:, :3, :3] == 1).all()
    assert (explained["weights"][:, :3, :3] == 1).all()
    changed = doubtful & (batch.labels["rough"] == NUCLEUS)
    assert (explained["weights"][changed] == 0).float().mean() > 0.5


def test_when_the_gap_does_not_rise_all_is_settled(build: Build, batch: Batch) -> None:
    method = build(round_epochs=2, stop_when_settled=True)
    for gap in (2.0, 1.5):
        method.rounds.add(gap)
        found = list(method.revise(MIDDLE, [image_of(batch)]))
    assert found == []
    before = {k: v.clone() for k, v in method.weights().items()}
    assert method.step(batch, MIDDLE).done is True
    assert all(torch.equal(v, before[k]) for k, v in method.weights().items() if "running" not in k)


@pytest.mark.parametrize(
    ("gaps", "over"), [([1, 2, 3], False), ([1, 3, 2], False), ([1, 3, 2, 2], True)]
)
def test_a_round_ends_when_the_gap_has_peaked(build: Build, gaps: list[float], over: bool) -> None:
    method = build(patience=2, round_share=0.0)
    method.rounds.gaps = [float(gap) for gap in gaps]
    assert method.rounds.over(MIDDLE) == over


def test_without_selection_a_round_ends_by_its_length_alone(build: Build) -> None:
    rounds = build(select=False, round_share=0.4, patience=1).rounds
    rounds.gaps = [3.0, 2.0, 1.0]
    assert not rounds.over(replace(MIDDLE, fraction=0.3))
    assert rounds.over(replace(MIDDLE, fraction=0.5))
    assert rounds.next(MIDDLE)
    unset = build(select=False, round_share=0.0, patience=1).rounds
    unset.gaps = [3.0, 2.0, 1.0]
    assert unset.over(MIDDLE)
    assert not unset.next(MIDDLE)


def test_a_round_ends_with_the_weights_of_the_peak(build: Build, batch: Batch) -> None:
    method = build(patience=1, round_share=0.0, return_to_peak=True, relabel=False)
    image = image_of(batch)
    kept: list[dict[str, Tensor]] = []
    for gap in (1.0, 3.0, 2.0, 1.0):
        kept.append({k: v.clone() for k, v in method.weights().items()})
        method.rounds.total, method.rounds.steps = gap, 1
        list(method.revise(MIDDLE, [image]))
        if method.rounds.settled:
            break
        method.step(batch, MIDDLE)
        method.rounds.total, method.rounds.steps = 0.0, 0
    assert method.rounds.settled
    peak, at_end = kept[1], method.weights()
    assert all(torch.equal(at_end[k], v) for k, v in peak.items())
    assert not all(torch.equal(peak[k], v) for k, v in kept[-1].items())


def test_the_noise_rate_is_told_by_clean_pixels(build: Build) -> None:
    method = build(noise_rate=0.0)
    given = np.zeros((40, 40), np.uint8)
    clean = given.copy()
    clean[:, :6] = NUCLEUS
    blank = np.zeros((3, 40, 40), np.float32)
    on = np.ones((40, 40), bool)
    labels = {"given": given, "clean": clean, "rough": given}
    image = TrainingImage("a", blank, blank[:1], labels, on, on, np.zeros((0, 2)))
    assert not method.begin([image])
    assert method.noise.value == pytest.approx(0.15)
    assert method.share == pytest.approx(0.85)


def test_without_superpixels_every_pixel_stands_alone(build: Build, batch: Batch) -> None:
    config = SuperpixelConfig.from_preset("small", use_superpixels=False)
    assert "superpixel" not in config.label_planes()
    pixels = build(use_superpixels=False).step(batch, MIDDLE)
    assert pixels == build().step(replace(batch, superpixels=None), MIDDLE)
    count = (batch.labels["rough"] != UNKNOWN).sum().item()
    assert pixels.figures["kept"] == pytest.approx(math.ceil(0.8 * count) / count, abs=1 / count)


@pytest.mark.parametrize("kind", [CoTeaching, JoCoR])
def test_comparators_by_sorting(kind: Any, batch: Batch) -> None:
    """The kept pixels' loss worked out with sort: each other's choice, or the joint one."""
    settings = {k: v for k, v in TINY.items() if k in PixelwiseConfig.model_fields}
    config = kind.Config.from_preset("small", **{**settings, "ramp": 0.0})
    method = kind(config, "cpu", 1)
    method.peers.nets.train()
    with torch.no_grad():
        logs = [z.log_softmax(1) for z in method.peers.logits(batch.image, batch.hematoxylin)]
    label, doubtful, trusted = selection.target_of(batch)
    one, two = (-z.gather(1, label.long().clamp(max=1)[:, None])[:, 0] for z in logs)
    p, q = (z.exp() for z in logs)
    joint = 0.35 * (one + two) + 0.65 * ((p - q) * (logs[0] - logs[1])).sum(1)

    def mean_where_small(values: Tensor, by: Tensor) -> float:
        order = by[doubtful].argsort()[: math.ceil(0.8 * int(doubtful.sum()) - 1e-3)]
        return float(torch.cat([values[doubtful][order], values[trusted]]).mean())

    if kind is JoCoR:
        expected = mean_where_small(joint, joint)
    else:
        expected = mean_where_small(one, two) + mean_where_small(two, one)
    assert method.step(batch, MIDDLE).losses["total"] == pytest.approx(expected, rel=1e-4)


def test_the_kept_share_falls_over_the_ramp(batch: Batch) -> None:
    settings = {**TINY, "warmup": 0.4, "ramp": 0.2}
    known = {k: v for k, v in settings.items() if k in PixelwiseConfig.model_fields}
    method = CoTeaching(PixelwiseConfig.from_preset("small", **known), "cpu", 1)
    found = [method.step(batch, replace(MIDDLE, fraction=f)) for f in (0.1, 0.4, 0.5, 0.6, 1.0)]
    shares = [outcome.figures["kept"] for outcome in found]
    assert shares == pytest.approx([1, 1, 0.9, 0.8, 0.8])
