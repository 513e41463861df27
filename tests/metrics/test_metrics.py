import math
import time

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_noisyseg import metrics
from napari_noisyseg.errors import NoisySegError

NAMES = ["acc", "f1", "iou", "dice", "dice_obj", "aji", "pq", "f1_obj", "hd95", "asd"]
DISTANCES = ["hd95", "asd"]


def squares() -> tuple[np.ndarray, np.ndarray]:
    """Truth: A 4x4, B 2x2 (missed). Predicted: A shifted right by one, C 3x1 (nobody's)."""
    truth = np.zeros((12, 20), np.int32)
    truth[2:6, 2:6] = 7
    truth[8:10, 2:4] = 3
    predicted = np.zeros_like(truth)
    predicted[2:6, 3:7] = 500
    predicted[9:12, 15] = 2
    return predicted, truth


def test_hand_computed_values_of_a_shift_a_miss_and_an_extra():
    predicted, truth = squares()
    got = metrics.evaluate(predicted, truth)
    # |P| = 16 + 3, |T| = 16 + 4, shared 12, of 240 pixels
    assert got["acc"] == pytest.approx(1 - (7 + 8) / 240)
    assert got["dice"] == got["f1"] == pytest.approx(24 / 39)
    assert got["iou"] == pytest.approx(12 / 27)
    # A: 12 of 20 united; the missed 4 and the unused 3 join the union
    assert got["aji"] == pytest.approx(12 / (20 + 4 + 3))
    assert got["pq"] == pytest.approx(0.6 / 2)
    assert got["f1_obj"] == pytest.approx(2 / 4)
    assert got["dice_obj"] == pytest.approx((16 / 20 * 0.75 + 16 / 19 * 0.75) / 2)


def test_aji_lets_one_predicted_nucleus_serve_two_true_ones_as_kumar_does():
    truth = np.zeros((4, 10), int)
    truth[:, 0:5], truth[:, 5:8] = 1, 2
    predicted = np.zeros_like(truth)
    predicted[:, 0:8] = 9
    # 1: 20/32, 2: 12/32 with the same object, counted in both unions
    assert metrics.aji(predicted, truth) == pytest.approx((20 + 12) / (32 + 32))
    assert metrics.pq(predicted, truth) == pytest.approx(20 / 32 / 1.5)


def test_aji_takes_the_highest_iou_and_not_the_largest_overlap():
    truth = np.zeros((1, 30), int)
    truth[0, 0:10] = 1
    predicted = np.zeros_like(truth)
    predicted[0, 0:4] = 1  # IoU 4/10
    predicted[0, 4:30] = 2  # shares 6, IoU 6/30
    assert metrics.aji(predicted, truth) == pytest.approx(4 / (10 + 26))


def test_dice_obj_takes_the_largest_overlap():
    truth = np.zeros((1, 30), int)
    truth[0, 0:10] = 1
    predicted = np.zeros_like(truth)
    predicted[0, 0:4], predicted[0, 4:30] = 1, 2
    one_way = 12 / 36
    other = 4 / 30 * 8 / 14 + 26 / 30 * 12 / 36
    assert metrics.dice_obj(predicted, truth) == pytest.approx((one_way + other) / 2)


def test_distances_of_a_shifted_line_and_of_a_far_pixel():
    a, b = np.zeros((20, 20), int), np.zeros((20, 20), int)
    a[3, 2:18], b[7, 2:18] = 1, 1
    assert metrics.hd95(a, b) == metrics.asd(a, b) == 4
    b = a.copy()
    b[13, 5] = 2  # 10 px from the line: one of 17 surface pixels, within the last 5 % of none
    assert metrics.asd(a, b) == pytest.approx(10 / 33)
    assert metrics.hd95(a, b) == pytest.approx(np.percentile([0] * 16 + [10], 95))
    assert metrics.hd95(b, a) == metrics.hd95(a, b)


def test_the_surface_of_a_square_is_its_rim():
    a, b = np.zeros((30, 30), int), np.zeros((30, 30), int)
    a[10:15, 10:15] = 1
    b[9:16, 9:16] = 1
    # 16 rim pixels at distance 1; back: 20 at 1 and four corners at sqrt 2
    assert metrics.asd(a, b) == pytest.approx((16 + 20 + 4 * math.sqrt(2)) / 40)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, bool])
def test_both_empty_is_one_and_one_empty_is_nought(kind):
    nothing = np.zeros((6, 6), kind)
    something = nothing.copy()
    something[2, 2] = 1
    both = metrics.evaluate(nothing, nothing)
    assert {k: v for k, v in both.items() if k not in DISTANCES} == dict.fromkeys(NAMES[:8], 1.0)
    for pair in ((nothing, something), (something, nothing)):
        one = metrics.evaluate(*pair)
        assert [one[k] for k in NAMES[1:8]] == [0.0] * 7
        assert one["acc"] == pytest.approx(35 / 36)
        assert one["hd95"] is one["asd"] is None
    assert both["hd95"] is both["asd"] is None


def test_touching_nuclei_are_told_apart_and_one_pixel_counts():
    truth = np.zeros((4, 8), int)
    truth[:, :4], truth[:, 4:] = 1, 2
    merged = (truth > 0).astype(int)
    assert metrics.dice(merged, truth) == 1
    assert metrics.f1_obj(merged, truth) == 0  # IoU is 0.5, not above
    pixel = np.zeros((4, 8), int)
    pixel[0, 0] = 9
    assert metrics.evaluate(pixel, pixel) == {**dict.fromkeys(NAMES, 1.0), "hd95": 0, "asd": 0}


def test_small_objects_are_dropped_from_both_sides_and_the_input_is_kept():
    predicted, truth = squares()
    before = predicted.copy(), truth.copy()
    got = metrics.evaluate(predicted, truth, min_size=4)
    assert got["aji"] == pytest.approx(12 / 24)  # C (3 px) goes, B (4 px) stays
    assert metrics.evaluate(predicted, truth, min_size=5)["aji"] == pytest.approx(12 / 20)
    assert metrics.evaluate(predicted, truth, min_size=17)["aji"] == 1.0
    assert (predicted == before[0]).all()
    assert (truth == before[1]).all()


def test_every_figure_is_also_a_function_of_its_own():
    predicted, truth = squares()
    assert list(metrics.evaluate(predicted, truth)) == NAMES
    for name, value in metrics.evaluate(predicted, truth).items():
        assert getattr(metrics, name)(predicted, truth) == value


def test_what_is_no_label_image_is_refused_with_a_reason():
    image = np.zeros((4, 4), int)
    with pytest.raises(NoisySegError, match=r"\(4, 4\).*\(4, 5\)"):
        metrics.evaluate(image, np.zeros((4, 5), int))
    with pytest.raises(NoisySegError, match="float64"):
        metrics.aji(image, np.zeros((4, 4)))
    with pytest.raises(NoisySegError, match="height, width"):
        metrics.evaluate(np.zeros((4, 4, 3), int), np.zeros((4, 4, 3), int))


def slow_aji(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Kumar's algorithm written as the paper states it, one mask at a time."""
    unused = set(np.unique(predicted).tolist()) - {0}
    shared = union = 0
    for i in sorted(set(np.unique(truth).tolist()) - {0}):
        mask = truth == i
        rivals = sorted(set(np.unique(predicted[mask]).tolist()) - {0})
        if not rivals:
            union += mask.sum()
            continue
        scores = [(mask & (predicted == j)).sum() / (mask | (predicted == j)).sum() for j in rivals]
        j = rivals[int(np.argmax(scores))]
        shared += (mask & (predicted == j)).sum()
        union += (mask | (predicted == j)).sum()
        unused.discard(j)
    return float(shared / (union + sum((predicted == j).sum() for j in unused)))


label_images = hnp.arrays(np.int32, (9, 9), elements=st.sampled_from([0, 0, 1, 2, 5, 300000]))


@settings(max_examples=150, deadline=None)
@given(label_images, label_images)
def test_aji_equals_the_algorithm_as_printed_and_figures_keep_their_bounds(predicted, truth):
    got = metrics.evaluate(predicted, truth)
    assert all(0 <= got[k] <= 1 for k in NAMES[:8])
    if predicted.any() and truth.any():
        assert got["aji"] == pytest.approx(slow_aji(predicted, truth))
        assert got["hd95"] >= 0
    assert got["dice"] == pytest.approx(metrics.dice(truth, predicted))
    assert got["pq"] == pytest.approx(metrics.pq(truth, predicted))
    assert got["dice_obj"] == pytest.approx(metrics.dice_obj(truth, predicted))


@settings(max_examples=50, deadline=None)
@given(label_images)
def test_ids_do_not_matter(labels):
    renamed = np.where(labels == 0, 0, 400001 - labels)
    got = metrics.evaluate(labels, renamed)
    assert [got[k] for k in NAMES[:8]] == pytest.approx([1] * 8)


def test_a_thousand_nuclei_in_a_megapixel_take_well_under_a_second():
    y, x = np.mgrid[:1000, :1000]
    grid = np.where((y % 31 < 22) & (x % 31 < 22), y // 31 * 33 + x // 31 + 1, 0).astype(np.int32)
    shifted = np.roll(grid, (3, 5), (0, 1))
    start = time.process_time()
    got = metrics.evaluate(shifted, grid)
    assert time.process_time() - start < 1
    assert 0.4 < got["aji"] < 0.6


def test_true_nuclei_of_real_tissue_score_one_and_eroded_ones_less(tnbc):
    _, truth = tnbc
    assert metrics.evaluate(truth, truth)["aji"] == 1
    half = np.where(np.arange(truth.shape[1]) % 2, truth, 0)
    assert 0.4 < metrics.evaluate(half, truth)["iou"] < 0.6


def test_two_annotators_of_the_same_fields_agree_as_their_publishers_say(data_dir):
    folder = data_dir / "lgg_two_annotators"
    names = sorted(p.name for p in (folder / "labels").iterdir())[:8]
    pairs = [
        [tifffile.imread(folder / side / n).astype(int) for side in ("labels", "labels_alt")]
        for n in names
    ]
    assert np.mean([metrics.dice(a, b) for a, b in pairs]) == pytest.approx(0.91, abs=0.03)
