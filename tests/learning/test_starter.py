"""The starter's training: squares that show what they should, one function in torch and in ONNX."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg import samples
from napari_noisyseg.coarse import starter as shipped
from napari_noisyseg.coarse.appearance import CHANNELS, COLOURS, SIDE
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image, read_labels

torch = pytest.importorskip("torch")

from napari_noisyseg.learning.starter import free, looks, squares, train  # noqa: E402
from napari_noisyseg.learning.starter.remake import write  # noqa: E402
from napari_noisyseg.nets.half import (  # noqa: E402
    HalfUNet,
    folded,
    of_weights,
)


@pytest.fixture(scope="module")
def field() -> free.Field:
    """A corner of the bundled field."""
    box = Box(0, 0, 160, 160)
    with open_image(samples.FIELD) as slide:
        rgb = slide.read(box)
    labels = read_labels(samples.FIELD_NUCLEI)[box.slices].astype(np.int32)
    return free.Field("field", "tnbc", rgb, labels)


def test_folding_the_norms_in_changes_nothing() -> None:
    torch.manual_seed(0)
    net = HalfUNet(3, 2, (4, 6, 8, 8))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.weight)
    x = torch.randn(2, 3, 32, 48)
    with torch.inference_mode():
        assert torch.allclose(net.eval()(x), folded(net)(x), atol=1e-4)


@pytest.mark.parametrize(("name", "inputs"), [("outline", CHANNELS), ("centres", COLOURS)])
def test_the_shipped_files_are_one_network(name: str, inputs: int) -> None:
    weights = shipped.model_weights(name)
    widths = tuple(weights[f"down.{n}.0.weight"].shape[0] for n in range(4))
    net = HalfUNet(inputs, weights["head.weight"].shape[0], widths, norm=False).eval()
    net.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    x = torch.randn(2, inputs, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = net(x).numpy()
    assert np.allclose(shipped.Network(name).logits(x.numpy()), theirs, atol=1e-3)


def test_depth_is_one_in_the_middle_and_nothing_outside() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5:16, 5:16], labels[20:31, 16:57] = 1, 2
    found = train.depth(labels)
    assert found[10, 10] == found[25, 36] == 1
    assert not found[labels == 0].any()
    assert found[5, 5] == pytest.approx(1 / 36)


def test_another_look_is_the_same_tissue(field: free.Field) -> None:
    seen = [looks.another_look(field.rgb, np.random.default_rng(n)) for n in range(6)]
    for look in seen:
        assert look.shape == field.rgb.shape
        assert look.dtype == np.uint8
        pair = (look.mean(axis=2).ravel(), field.rgb.mean(axis=2).ravel())
        assert np.corrcoef(*pair)[0, 1] > 0.6
    assert not np.array_equal(seen[0], seen[1])


def test_squares_show_the_clicked_nucleus_however_they_are_turned(field: free.Field) -> None:
    (views,) = squares.views([field], 2, seed=0)
    random = np.random.default_rng(0)
    picks = [(views[0], at) for at in range(len(views[0].clicks))]
    x, target = squares.around_clicks(picks, random)
    assert x.shape == (len(picks), CHANNELS, SIDE, SIDE)
    assert target.shape == (len(picks), SIDE, SIDE)
    spot = x[:, COLOURS].numpy()
    for own, nucleus in zip(spot, target.numpy(), strict=True):
        y, column = np.unravel_index(own.argmax(), own.shape)
        assert abs(y - SIDE // 2) <= 1
        assert abs(column - SIDE // 2) <= 1
        assert nucleus[y, column] == 1, "exact clicks stand in their nuclei"
    areas = target.sum((1, 2)).numpy()
    true = np.bincount(field.labels.ravel())[views[0].serials]
    inside = np.array([_whole(field.labels, int(s)) for s in views[0].serials])
    ratio = areas[inside] / true[inside]
    low, high = (bound**2 for bound in squares.SCALES)
    assert ((ratio > 0.8 * low) & (ratio < 1.25 * high)).all()


def _whole(labels: NDArray[np.int32], serial: int) -> bool:
    """Whether a nucleus fits into any square, however large it is drawn."""
    box = ndi.find_objects(labels)[serial - 1]
    return all(part.stop - part.start < 30 for part in box)


def test_a_few_steps_learn(field: free.Field) -> None:
    (views,) = squares.views([field], 1, seed=0)
    told: list[str] = []
    torch.manual_seed(0)
    net = HalfUNet(CHANNELS, 1, (8, 8, 8, 8))
    batches = itertools.islice(train.squares(views, ["tnbc"], 0), 12)
    x, target = next(train.squares(views, ["tnbc"], 1))
    with torch.inference_mode():
        before = train.one_nucleus(net.eval()(x), target).item()
    train.fit(net, batches, 12, train.one_nucleus, told.append)
    with torch.inference_mode():
        after = train.one_nucleus(net.eval()(x), target).item()
    assert after < before


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    nets = {"outline": folded(HalfUNet(CHANNELS, 1, (4, 4, 4, 4)).eval())}
    files = write(nets, tmp_path, {"steps": 3})
    assert [path.name for path in files] == ["outline.safetensors", "outline.onnx"]
    weights, about = shipped.read_weights(files[0])
    assert about["steps"] == 3
    assert about["learned_from"] == list(free.SETS)
    x = torch.randn(1, CHANNELS, SIDE, SIDE)
    with torch.inference_mode():
        assert torch.allclose(of_weights(weights)(x), nets["outline"](x))


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"no data in .*tnbc"):
        free.fields(tmp_path)
