"""The equations of MLB-Seg on small tensors, against values written independently."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from napari_noisyseg import losses
from napari_noisyseg.learning.doubt import KEPT_TILES, Clean
from napari_noisyseg.learning.settings.mlbseg import MLBSegConfig
from napari_noisyseg.method import UNKNOWN, Batch, Progress, TrainingImage
from napari_noisyseg.methods.mlbseg import GENERATED, MLBSeg

WARM = Progress(epoch=0, epochs=10, step=0, fraction=0.0)
LATER = Progress(epoch=5, epochs=10, step=50, fraction=0.5)


def build(**changes: Any) -> MLBSeg:
    """Tiny, and with the paper's four views."""
    tiny = {"width": 4, "depth": 2, "weight_decay": 0.0, "lr_schedule": "constant"}
    tiny = {**tiny, "zoom_in": 1, "zoom_out": 2, "flips": 1, "clean_step": False, **changes}
    return MLBSeg(MLBSegConfig.from_preset("small", **tiny), "cpu", seed=0)


@pytest.fixture
def batch(tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> Batch:
    """Two tiles of real tissue with rough masks, wrong in a corner of the first; one clean tile."""
    return batch_of(*tnbc)


def batch_of(rgb: NDArray[np.uint8], nuclei: NDArray[np.int32]) -> Batch:
    def tile(y: int, x: int) -> tuple[Tensor, Tensor]:
        box = np.s_[y : y + 80 : 2, x : x + 80 : 2]
        image = torch.from_numpy(rgb[box].copy()).permute(2, 0, 1).float() / 255
        return image, torch.from_numpy((nuclei[box] > 0).astype(np.uint8))

    def stacked(*corners: tuple[int, int]) -> tuple[Tensor, Tensor]:
        images, truths = zip(*(tile(*corner) for corner in corners), strict=True)
        return torch.stack(images), torch.stack(truths)

    image, truth = stacked((100, 60), (300, 240))
    clean, certain = stacked((200, 400), (20, 150))
    rough = truth.clone()
    rough[0, :20, :20] = 1 - rough[0, :20, :20]
    meta = of(clean, torch.full_like(certain, UNKNOWN), certain)
    return replace(of(image, rough, torch.full_like(rough, UNKNOWN)), meta=meta)


def of(image: Tensor, rough: Tensor, clean: Tensor) -> Batch:
    on = torch.ones(rough.shape, dtype=torch.bool)
    labels = {"rough": rough, "clean": clean}
    half = torch.zeros(len(image), dtype=torch.long)
    return Batch(image, image.mean(1, keepdim=True), labels, on, on, {}, half)


def doubled(method: MLBSeg, batch: Batch) -> tuple[Any, Clean]:
    """The method in double precision, and what it makes of a batch."""
    method.student.net.double()
    clean = method._clean(batch.meta)
    assert clean is not None
    doubt = method._doubt(batch)
    precise = doubt._replace(image=doubt.image.double())
    return precise, Clean(clean.image.double(), clean.label)


def by_double_backward(method: MLBSeg, doubt: Any, pseudo: Tensor, clean: Clean) -> Tensor:
    """-dL_c(theta - dL(theta, w)/dtheta)/dw at w = 0: Eqs. 4 and 6 word by word."""
    names, parameters = zip(*method.student.net.named_parameters(), strict=True)
    w = torch.zeros(2, *doubt.label.shape, dtype=torch.float64, requires_grad=True)
    logp = method.student.net(doubt.image).log_softmax(dim=1)
    maps = []
    for label in (doubt.label, pseudo):
        picked = -logp.gather(1, label.long().clamp(max=1)[:, None])[:, 0]
        maps.append(torch.where(label == UNKNOWN, 0.0, picked))
    slopes = torch.autograd.grad((w * torch.stack(maps)).sum(), parameters, create_graph=True)
    moved = {n: p - s for n, p, s in zip(names, parameters, slopes, strict=True)}
    there = functional_call(method.student.net, moved, (clean.image,)).log_softmax(dim=1)
    known = clean.label != UNKNOWN
    loss = -there.gather(1, clean.label.long().clamp(max=1)[:, None])[:, 0][known].mean()
    return -torch.autograd.grad(loss, w)[0]


@pytest.mark.parametrize(
    ("mode", "apart"), [("exact", 1e-10), ("forward", 1e-10), ("difference", 1e-3), ("decoder", 1)]
)
def test_weights_are_those_of_double_backpropagation(batch: Batch, mode: str, apart: float) -> None:
    """apart: largest distance, as a share of the weights' norm; 1 is a cosine of 0.5 and more."""
    method = build(meta_gradient=mode, zoom_in=0, zoom_out=0, flips=0)
    for step in range(10):
        method.step(batch, replace(WARM, step=step))
    doubt, clean = doubled(method, batch)
    method.student.net.train()
    with torch.no_grad():
        pseudo = method.student.net(doubt.image).argmax(dim=1).to(torch.uint8)
    expected = by_double_backward(method, doubt, pseudo, clean)
    found = method._meta_weights(doubt, [], clean)[1]
    assert (found - expected).norm() < apart * expected.norm()


def test_weights_are_cut_at_zero_and_sum_to_one() -> None:
    raw = torch.tensor([[[[3.0, -1.0], [1.0, 0.0]]], [[[0.5, 0.5], [-9.0, 1.0]]]])
    expected = torch.tensor([[[[0.75, 0], [0.25, 0]]], [[[0.25, 0.25], [0, 0.5]]]])
    torch.testing.assert_close(losses.normalised_weights(raw), expected)
    together = expected * torch.tensor([4.0, 2.0]).reshape(2, 1, 1, 1) / 6
    torch.testing.assert_close(losses.normalised_weights(raw, jointly=True), together)


def test_weights_that_vanish_or_blow_up_stay_zero() -> None:
    assert not losses.normalised_weights(-torch.rand(2, 1, 4, 4)).any()
    wild = torch.tensor([torch.nan, torch.inf, -torch.inf, 2.0]).reshape(1, 1, 2, 2)
    found = losses.normalised_weights(wild)
    torch.testing.assert_close(found, torch.tensor([0.0, 0, 0, 1]).reshape(1, 1, 2, 2))


@pytest.mark.parametrize("normalise", ["each", "jointly"])
def test_losses_are_the_sums_of_eq_9(batch: Batch, normalise: str) -> None:
    method, twin = build(normalise=normalise), build(normalise=normalise)
    found = method.step(batch, LATER).losses
    twin.student.net.train()
    doubt, clean = twin._doubt(batch), twin._clean(batch.meta)
    others = twin._seen(doubt.image)
    logits, weights = twin._weigh(doubt, others, clean)
    assert weights.min() >= 0
    sums = weights.sum(dim=(1, 2, 3))
    assert (sums if normalise == "each" else sums.sum()).tolist() == pytest.approx(
        [1, 1] if normalise == "each" else 1, abs=1e-3
    )
    logp = logits.log_softmax(dim=1)
    noisy = -logp.gather(1, doubt.label.long()[:, None])[:, 0]
    assert found["noisy"] == pytest.approx((weights[0] * noisy).sum().item(), rel=1e-4)
    parts = ("noisy", "pseudo", "clean", "views", "teacher")
    assert found["total"] == pytest.approx(sum(found[part] for part in parts), rel=1e-4)
    assert found["clean"] == 0


def test_the_pseudo_label_is_the_argmax_of_all_views(batch: Batch) -> None:
    method = build(zoom_in=0, zoom_out=0, flips=1)
    method.student.net.train()
    doubt = method._doubt(batch)
    (mirrored,) = method._seen(doubt.image)
    with torch.no_grad():
        logits = method.student.net(doubt.image)
        expected = method.student.net(doubt.image.flip(3)).softmax(dim=1)[:, 1]
        average = (logits.softmax(dim=1)[:, 1] + expected.flip(2)) / 2
    torch.testing.assert_close(mirrored, expected, atol=1e-5, rtol=0)
    own = method._doubtful(logits, doubt, [mirrored])[1]
    pseudo = (average > 0.5).long()
    torch.testing.assert_close(own, F.cross_entropy(logits, pseudo, reduction="none"))


@pytest.mark.parametrize("kind", ["zoom_in", "zoom_out"])
def test_the_views_of_fewer_are_among_those_of_more(kind: str) -> None:
    """Fig. 3b: more views add to the others, and one view is the gentlest."""
    none = {"zoom_in": 0, "zoom_out": 0, "flips": 0}
    views = {q: build(**{**none, kind: q}).views for q in (1, 2, 4, 6)}
    for fewer, more in ((1, 2), (2, 4), (4, 6)):
        assert torch.equal(views[fewer], views[more][: fewer + 1])
    scale = torch.linalg.det(views[6][:, :, :2]).log().abs()
    assert (scale.diff() > 0).all()


def test_views_are_as_many_as_asked() -> None:
    standard = build().views
    determinants = torch.linalg.det(standard[:, :, :2]).tolist()
    zooms = [abs(d) ** -0.5 for d in determinants]
    assert zooms == pytest.approx([1, 1.5**0.25, 1.5**-0.25, 1.5**-0.5, 1])
    assert [d < 0 for d in determinants] == [False] * 4 + [True]
    assert len(build(zoom_in=6, zoom_out=0, flips=0).views) == 7
    assert len(build(zoom_in=0, zoom_out=0, flips=0).views) == 1


def test_the_consistency_of_views_reaches_the_network(batch: Batch) -> None:
    method = build(mean_teacher=False, clean_weight=0.0, weighting="fixed", fixed_share=1.0)
    nothing = torch.full_like(batch.labels["rough"], UNKNOWN)
    unlabeled = replace(batch, labels={"rough": nothing, "clean": nothing})
    before = method.student.net.head.weight.detach().clone()
    found = method.step(unlabeled, LATER).losses
    assert found["views"] > 0
    assert found["noisy"] == found["pseudo"] == 0
    assert not torch.equal(before, method.student.net.head.weight)


def test_the_views_leave_running_statistics_alone(batch: Batch) -> None:
    method = build()
    method.student.net.train()
    before = {k: v.clone() for k, v in method.student.net.named_buffers()}
    method._seen(method._doubt(batch).image)
    assert all(torch.equal(v, before[k]) for k, v in method.student.net.named_buffers())


def test_the_teacher_follows_the_student(batch: Batch) -> None:
    """theta_T = d theta_T + (1 - d) theta_S, with d = 0.99 once it has settled."""
    method = build()
    assert method.student.teacher is not None
    method.student.teacher.updates = 10_000
    before = [p.clone() for p in method.student.teacher.module.parameters()]
    method.step(batch, LATER)
    for old, new, student in zip(
        before,
        method.student.teacher.module.parameters(),
        method.student.net.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(new, 0.99 * old + 0.01 * student)


def test_the_teacher_sees_noise(batch: Batch) -> None:
    """Eqs. 12 and 13, the noise drawn again from the same seed."""
    method = build(gamma=0.3)
    assert method.student.teacher is not None
    x = method._doubt(batch).image
    present = torch.rand(x.shape[0], 40, 40)
    counts = torch.rand(present.shape) > 0.5
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        other = method.student.teacher.module(x + 0.3 * noise).softmax(dim=1)
    both = torch.stack([1 - present, present], dim=1)
    expected = (both - other).square().sum(dim=1)[counts].mean()
    torch.testing.assert_close(method.student.beside_teacher(x, present, counts), expected)


def test_the_warm_start_sees_clean_labels_alone(batch: Batch) -> None:
    opposite = {**batch.labels, "rough": 1 - batch.labels["rough"]}
    for progress, same in ((WARM, True), (LATER, False)):
        one, other = build(), build()
        found = one.step(batch, progress).losses
        other.step(replace(batch, labels=opposite), progress)
        pairs = zip(one.student.net.parameters(), other.student.net.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) is same
        assert ("noisy" in found) is not same


def test_clean_pixels_never_train_as_noisy(batch: Batch) -> None:
    clean = batch.labels["clean"].clone()
    clean[1] = batch.labels["rough"][1]
    partly = replace(batch, labels={**batch.labels, "clean": clean})
    method = build()
    doubt = method._doubt(partly)
    assert (doubt.label[1] == UNKNOWN).all()
    assert not doubt.open[1].any()
    assert torch.equal(doubt.label[0], batch.labels["rough"][0])
    method.student.net.train()
    logits, weights = method._weigh(doubt, method._seen(doubt.image), method._clean(batch.meta))
    assert not weights[:, 1].any()
    assert weights[:, 0].any()
    found = method.step(partly, LATER).losses
    expected = F.cross_entropy(logits[1:], clean[1:].long())
    assert found["clean"] == pytest.approx(expected.item(), rel=1e-4)


def test_labels_of_eq_1_stand_in_only_where_there_is_no_other(batch: Batch) -> None:
    generated = torch.full((2, 40, 40), 0.9)
    generated[:, :, :10] = torch.nan
    rough = batch.labels["rough"].clone()
    rough[1] = UNKNOWN
    planes = {GENERATED: generated}
    label = (
        build()._doubt(replace(batch, labels={**batch.labels, "rough": rough}, planes=planes)).label
    )
    assert torch.equal(label[0], batch.labels["rough"][0])
    assert (label[1, :, 10:] == 1).all()
    assert (label[1, :, :10] == UNKNOWN).all()


def test_what_nobody_labelled_is_labelled_when_the_warm_start_ends(batch: Batch) -> None:
    nothing = np.full((40, 40), UNKNOWN, np.uint8)
    on = np.ones((40, 40), bool)
    labelled = {"rough": np.zeros_like(nothing), "clean": nothing}
    image = TrainingImage(
        "a", batch.image[0].numpy(), batch.hematoxylin[0].numpy(),
        {"rough": nothing, "clean": nothing}, on, on, np.zeros((0, 2)),
    )  # fmt: skip
    method = build()
    images = [image, replace(image, labels=labelled)]
    assert not list(method.revise(WARM, images))
    (revision,) = method.revise(LATER, images)
    assert (revision.image, revision.plane) == (0, GENERATED)
    x = 1 - batch.hematoxylin[:1]
    expected = method.student.net.eval()(x).softmax(dim=1)[0, 1]
    np.testing.assert_allclose(revision.values, expected.detach().numpy(), atol=1e-5)
    done = replace(image, planes={GENERATED: revision.values})
    assert not list(method.revise(LATER, [done]))
    assert not list(build(label_unlabeled=False).revise(LATER, images))


@pytest.mark.parametrize("progress", [WARM, LATER])
def test_goes_on_without_any_clean_pixel(batch: Batch, progress: Progress) -> None:
    found = build().step(replace(batch, meta=None), progress).losses
    assert all(np.isfinite(value) for value in found.values())
    assert found.get("noisy", 0) == 0


def test_goes_on_where_weights_are_no_numbers(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = build()
    original = method._meta_weights

    def wild(*parts: Any) -> tuple[Tensor, Tensor]:
        logits, weights = original(*parts)
        return logits, torch.full_like(weights, torch.nan)

    monkeypatch.setattr(method, "_meta_weights", wild)
    found = method.step(batch, LATER)
    assert all(np.isfinite(value) for value in found.losses.values())
    assert found.losses["noisy"] == found.losses["pseudo"] == found.trusted == 0


def test_tells_what_share_of_the_rough_label_has_weight(batch: Batch) -> None:
    assert 0 < build().step(batch, LATER).trusted < 1
    assert build().step(batch, WARM).trusted is None


def test_fixed_weights_are_the_shares_of_reed(batch: Batch) -> None:
    method = build(weighting="fixed", fixed_share=0.8)
    doubt = method._doubt(batch)
    weights = method._weigh(doubt, method._seen(doubt.image), None)[1]
    assert weights.sum(dim=(1, 2, 3)).tolist() == pytest.approx([0.8, 0.2])
    assert len(weights[0].unique()) == 1


def test_published_differences(batch: Batch) -> None:
    plain, further = build(), build(clean_step=True)
    plain.step(batch, LATER)
    further.step(batch, LATER)
    assert not torch.equal(plain.student.net.head.weight, further.student.net.head.weight)
    method = build(lr_schedule="decay", lr=0.01)
    method.step(batch, replace(LATER, epoch=20))
    assert method.student.optimizer.param_groups[0]["lr"] == pytest.approx(0.005)
    method = build(clip=0.01, lr=1.0, momentum=0.0)
    before = [p.detach().clone() for p in method.student.net.parameters()]
    method.step(batch, LATER)
    pairs = zip(before, method.student.net.parameters(), strict=True)
    moved = sum((b - p).detach().square().sum().item() for b, p in pairs)
    assert moved**0.5 == pytest.approx(0.01, rel=1e-3)
    restarted = build(ema_restart=True)
    assert restarted.student.teacher is not None
    restarted.student.teacher.updates = 50
    list(restarted.revise(LATER, []))
    assert restarted.student.teacher.updates == 0


def test_labels_at_odds_with_the_clean_ones_weigh_less(batch: Batch) -> None:
    """The clean tiles' own pixels, every other row turned round."""
    assert batch.meta is not None
    method = build(width=8)
    for step in range(20):
        method.step(batch, replace(WARM, step=step))
    truth = batch.meta.labels["clean"]
    wrong = torch.zeros(truth.shape, dtype=torch.bool)
    wrong[:, ::2] = True
    rough = torch.where(wrong, 1 - truth, truth)
    doubtful = {"rough": rough, "clean": torch.full_like(rough, UNKNOWN)}
    maps = method.explain(replace(batch.meta, labels=doubtful))
    weights, nucleus = maps["weights"], rough == 1
    assert weights[nucleus & ~wrong].mean() > 1.5 * weights[nucleus & wrong].mean()
    for plane in maps.values():
        assert 0 <= plane.min() <= plane.max() <= 1


def test_weights_are_shown_by_several_clean_tiles(batch: Batch) -> None:
    method = build()
    for _ in range(10):
        method.step(batch, WARM)
    assert method.shown.reference is not None
    assert len(method.shown.reference.image) == KEPT_TILES
    smaller = batch.meta and batch.meta.mapped(lambda v: v[..., :32, :32] if v.dim() > 1 else v)
    method.step(replace(batch.mapped(lambda v: v), meta=smaller), WARM)
    assert len(method.shown.reference.image) == 2


def test_clean_pixels_are_shown_with_full_weight(batch: Batch) -> None:
    method = build()
    method.step(batch, LATER)
    clean = batch.labels["clean"].clone()
    clean[0, :5] = 1
    maps = method.explain(replace(batch, labels={**batch.labels, "clean": clean}))
    assert (maps["weights"][0, :5] == 1).all()
    assert not maps["weights_pseudo"][0, :5].any()


def test_the_student_predicts_where_asked(batch: Batch) -> None:
    for predicts in ("student", "teacher"):
        method = build(predicts=predicts)
        for _ in range(3):
            method.step(batch, LATER)
        net = (
            method.student.net
            if predicts == "student"
            else method.student.teacher and method.student.teacher.module
        )
        assert net is not None
        expected = net.eval()(1 - batch.hematoxylin).softmax(dim=1)[:, 1]
        found = method.predict(batch.image, batch.hematoxylin).probability
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("preset", ["small", "paper"])
def test_accepted_nuclei_with_thin_margins_do_not_judge(preset: Any) -> None:
    """By them a warm start that calls everything a nucleus seems the best."""
    assert not MLBSegConfig.from_preset(preset).hold_out
