"""iGTT: its losses by hand, its labels over whole images, its polarity without any truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_noisyseg import losses
from napari_noisyseg.benchmarks.steps import take_steps
from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.data.prepare import training_image
from napari_noisyseg.data.regions import region_of
from napari_noisyseg.learning.settings.igtt import IGTTConfig
from napari_noisyseg.method import Progress, TrainingImage
from napari_noisyseg.methods.igtt import IGTT, PLANE
from napari_noisyseg.nets.signal import modality_of, signal, standardised

TINY: dict[str, Any] = {"width": 8, "tile": 64, "crop": 64, "batch_size": 4, "revise_every": 1}
START = Progress(0, 4, 0, 0.0)
LATER = Progress(1, 4, 8, 0.25)


def density(stain: torch.Tensor) -> NDArray[np.float64]:
    """Beer-Lambert, smoothed by a Gaussian of 1 px that ends at 2 px; (h, w) in 0..1."""
    found = np.log(stain[0, 0].numpy().clip(1 / 255)) / np.log(1 / 255)
    return gaussian_filter(found, 1, truncate=2, mode="nearest")


def built(seed: int = 0, **changes: Any) -> IGTT:
    return IGTT(IGTTConfig.from_preset("small", **{**TINY, **changes}), "cpu", seed)


def images(*rgb: NDArray[np.uint8]) -> list[TrainingImage]:
    config = IGTTConfig.from_preset("small", **TINY)
    return [training_image(region_of(one, 0.5), config, ()) for one in rgb]


def cells(inverted: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bright disks on a dim noisy ground, uint8 (128, 128, 3), and where they are."""
    y, x = np.mgrid[:128, :128]
    truth = ((y % 32 - 16) ** 2 + (x % 32 - 16) ** 2) < 8**2
    grey = np.random.default_rng(0).normal(15, 3, truth.shape) + 70 * truth
    rgb = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return (255 - rgb if inverted else rgb), truth


def trained(method: IGTT, given: list[TrainingImage], epochs: int = 4) -> IGTT:
    take_steps(method, TrainingData(given, method.config, method.needs), method.config, epochs)
    return method


def found(method: IGTT, image: TrainingImage) -> NDArray[np.bool_]:
    planes = (torch.from_numpy(values)[None] for values in (image.image, image.hematoxylin))
    return method.predict(*planes).probability[0].numpy() > 0.5


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_the_determinant_and_its_loss_by_hand() -> None:
    p = torch.tensor([[[0.9, 0.8], [0.1, 0.4]]])
    s = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    every = torch.ones(1, 2, 2, dtype=torch.bool)
    # Q = [[1.3, 0.9], [0.7, 1.1]] / 4
    determinant = losses.joint_determinant(p, s, every)
    assert determinant.item() == pytest.approx((1.3 * 1.1 - 0.9 * 0.7) / 16)
    assert losses.information_loss(determinant).item() == pytest.approx(-math.log(0.05), abs=1e-4)
    inverse = losses.joint_determinant(1 - p, s, every)
    assert inverse.item() == pytest.approx(-0.05)
    assert losses.information_loss(inverse).item() == pytest.approx(-math.log(0.05), abs=1e-4)


def test_a_better_prediction_has_the_smaller_loss() -> None:
    """The paper writes that the correlation of Eq. 3 is maximised; as a loss it is minimised."""
    s = torch.zeros(1, 8, 8)
    s[:, :4] = 1
    every = torch.ones(1, 8, 8, dtype=torch.bool)
    good, poor = 0.1 + 0.8 * s, 0.45 + 0.1 * s
    loss = [losses.information_loss(losses.joint_determinant(p, s, every)) for p in (good, poor)]
    assert loss[0] < loss[1]


def test_soft_iou_by_hand() -> None:
    p = torch.tensor([[[0.9, 0.8], [0.1, 0.4]]])
    s = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    every = torch.ones(1, 2, 2, dtype=torch.bool)
    # shared 1.3; union 2.2 + 2 - 1.3
    assert losses.soft_iou(p, s, every).item() == pytest.approx(1 - 1.3 / 2.9, abs=1e-5)
    some = torch.tensor([[[True, True], [True, False]]])
    assert losses.soft_iou(p, s, some).item() == pytest.approx(1 - 0.9 / 1.9, abs=1e-5)


def test_pixels_without_a_label_count_in_neither_loss() -> None:
    p, s = torch.rand(2, 6, 6), (torch.rand(2, 6, 6) > 0.5).float()
    mask = torch.rand(2, 6, 6) > 0.3
    cut = [values[mask].reshape(1, 1, -1) for values in (p, s, mask)]
    for loss in (losses.joint_determinant, losses.soft_iou):
        assert loss(p, s, mask).item() == pytest.approx(loss(*cut).item(), abs=1e-6)


def test_labels_without_foreground_have_no_gradient() -> None:
    """Why black masks cannot be the seed: the first epoch would teach nothing by L_DMI."""
    p = torch.full((1, 8, 8), 0.3, requires_grad=True)
    every = torch.ones(1, 8, 8, dtype=torch.bool)
    losses.information_loss(losses.joint_determinant(p, torch.zeros(1, 8, 8), every)).backward()
    assert p.grad is not None
    assert p.grad.abs().max() < 1e-4


@pytest.mark.parametrize("seed_labels", ["otsu", "random"])
def test_the_first_epoch_has_labels_that_teach(seed_labels: str) -> None:
    method, (image,) = built(seed_labels=seed_labels), images(cells()[0])
    (first,) = method.begin([image])
    assert (first.plane, first.image) == (PLANE, 0)
    assert 0.01 < first.values.mean() < 0.5
    data = TrainingData([image], method.config, method.needs)
    data.revise(0, PLANE, first.values)
    before = {k: v.clone() for k, v in method.weights().items() if k.startswith("net.head")}
    method.step(data.batch(0, 0, 4), START)
    assert any(not torch.equal(v, method.reader.net.state_dict()[k[4:]]) for k, v in before.items())


def test_labels_follow_from_the_seed() -> None:
    given = images(cells()[0])
    planes = [next(iter(built(seed).begin(given))).values for seed in (1, 1, 2)]
    assert np.array_equal(planes[0], planes[1])
    assert not np.array_equal(planes[0], planes[2])


def test_labels_are_revised_when_the_settings_say() -> None:
    method, given = built(revise_every=3), images(cells()[0])
    first = list(method.begin(given))
    later = [list(method.revise(Progress(e, 9, e, e / 9), given)) for e in range(1, 5)]
    assert [len(found) for found in (first, *later)] == [1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("inverted", "modality"),
    [
        (False, "auto"),
        pytest.param(True, "auto", marks=pytest.mark.long),
        pytest.param(False, "fluorescence", marks=pytest.mark.slow),
        pytest.param(True, "inverted", marks=pytest.mark.slow),
    ],
)
def test_bright_nuclei_are_found_and_dark_ones_on_bright_ground(
    inverted: bool, modality: str
) -> None:
    rgb, truth = cells(inverted)
    (image,) = images(rgb)
    method = trained(built(modality=modality), [image], epochs=8)
    assert dice(found(method, image), truth) > 0.85


def test_a_network_that_is_turned_round_is_turned_back_without_truth() -> None:
    rgb, truth = cells()
    (image,) = images(rgb)
    method = trained(built(), [image])
    upright = found(method, image)
    for net in (method.reader.net, method.reader.average.module):
        for values in (net.head.weight, net.head.bias):
            with torch.no_grad():
                values.copy_(values.flip(0))
    assert dice(found(method, image), truth) < 0.3
    list(method.revise(LATER, [image]))
    assert dice(found(method, image), upright) > 0.9


@pytest.mark.long
def test_no_step_leads_to_the_inverse_of_the_labels() -> None:
    rgb, truth = cells()
    (image,) = images(rgb)
    for seed in range(4):
        method = trained(built(seed, revise_every=100), [image], epochs=2)
        p = method.predict(
            torch.from_numpy(image.image)[None], torch.from_numpy(image.hematoxylin)[None]
        ).probability[0]
        assert p[torch.from_numpy(truth)].mean() > p[torch.from_numpy(~truth)].mean(), seed


def test_stained_tissue_is_seen_by_its_hematoxylin(
    tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]],
) -> None:
    (image,) = images(tnbc[0])
    x, stain = torch.from_numpy(image.image)[None], torch.from_numpy(image.hematoxylin)[None]
    assert np.allclose(signal(x, stain)[0, 0].numpy(), density(stain), atol=1e-5)
    seen, nuclei = signal(x, stain)[0, 0].numpy(), tnbc[1] > 0
    assert seen[nuclei].mean() > seen[~nuclei].mean() + seen[~nuclei].std()


def test_the_ground_decides_what_is_nucleus_in_grey_images() -> None:
    dark = torch.full((1, 3, 8, 8), 0.05)
    dark[..., 2:4, 2:4] = 0.8
    stain = torch.ones(1, 1, 8, 8)
    both = signal(torch.cat([dark, 1 - dark]), torch.cat([stain, stain]))
    assert torch.allclose(both[0], both[1])
    assert both[0, 0, 2, 2] > both[0, 0, 0, 0]
    stained = signal(dark, stain, "stained")[0, 0].numpy()
    assert np.allclose(stained, density(stain), atol=1e-5)


def test_a_crop_full_of_bright_nuclei_is_seen_as_its_image_is() -> None:
    rgb = np.full((128, 128, 3), 5, np.uint8)
    rgb[:40, :40] = 220
    (image,) = images(rgb)
    crop = torch.from_numpy(image.image[None, :, :20, :20])
    assert modality_of(crop) == ["inverted"]
    method = built()
    list(method.begin([image]))
    assert method.sight.modality == "fluorescence"
    again = built()
    again.load_state_dict(method.state_dict())
    assert again.sight.modality == "fluorescence"


def test_when_the_first_labels_come_back_the_output_is_cut_where_they_were() -> None:
    method, given = built(), images(cells()[0])
    method.reader.reading.set(0.01)
    list(method.begin(given))
    assert float(method.reader.reading.level) == 0.5


def test_standardised_images_have_mean_0_and_deviation_1_and_blank_ones_stay_quiet() -> None:
    x = torch.rand(2, 1, 16, 16) * torch.tensor([0.2, 0.9])[:, None, None, None]
    z = standardised(x)
    assert torch.allclose(z.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(z.std(dim=(1, 2, 3), correction=0), torch.ones(2), atol=1e-4)
    assert standardised(torch.full((1, 1, 4, 4), 0.3)).abs().max() < 1e-4


def test_labels_that_leave_the_signal_end_the_revisions_and_the_first_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rgb, truth = cells()
    (image,) = images(rgb)
    method, other = built(agreement_drop=0.05), built(agreement_drop=0.0)
    (first,) = method.begin([image])
    thinned = truth & (np.indices(truth.shape).sum(axis=0) % 2 == 0)
    seen = iter([truth, thinned, truth, thinned])
    for one in (method, other):
        monkeypatch.setattr(one, "_upright", lambda _: [next(seen).astype(np.float32)])
    (revised,) = method.revise(LATER, [image])
    assert not np.array_equal(revised.values, first.values, equal_nan=True)
    (back,) = method.revise(Progress(2, 4, 16, 0.5), [image])
    assert np.array_equal(back.values, first.values, equal_nan=True)
    assert not list(method.revise(Progress(3, 4, 24, 0.75), [image]))
    resumed = built(agreement_drop=0.05)
    resumed.load_state_dict(method.state_dict())
    assert resumed.course.settled
    for epoch in (1, 2):
        (kept,) = other.revise(Progress(epoch, 4, 8 * epoch, epoch / 4), [image])
    assert kept.values.sum() < first.values[first.values == 1].sum()
