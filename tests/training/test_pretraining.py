"""The making of first weights: a few steps on a corner of the bundled field."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_noisyseg import samples
from napari_noisyseg.learning import first
from napari_noisyseg.learning.starter.free import Field
from napari_noisyseg.method import Batch
from napari_noisyseg.slides import Box, open_image, read_labels
from napari_noisyseg.training import pretraining
from napari_noisyseg.training.pretraining import SHAPES, Shape, pretrained, scores


@pytest.fixture(scope="module")
def field() -> Field:
    box = Box(0, 0, 256, 256)
    with open_image(samples.FIELD) as slide:
        rgb = slide.read(box)
    labels = read_labels(samples.FIELD_NUCLEI)[box.slices].astype(np.int32)
    return Field("field", "tnbc", rgb, labels)


@pytest.mark.long
def test_a_few_steps_learn_and_the_pair_shares_its_middle(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = Shape("supervised", 1, (("hematoxylin", 0), ("hematoxylin", 1)))
    monkeypatch.setitem(SHAPES, "resunet", two)
    monkeypatch.delitem(SHAPES, "unetpp")
    monkeypatch.setattr(pretraining, "SETTLING", 2)
    told: list[str] = []
    before, after = (pretrained([field], steps, say=told.append) for steps in (1, 24))
    assert list(after) == ["resunet.hematoxylin.0", "resunet.hematoxylin.1"]
    one, two_ = after.values()
    assert torch.equal(one["stages.1.0.first.0.weight"], two_["stages.1.0.first.0.weight"])
    assert not torch.equal(one["head.weight"], two_["head.weight"])
    assert not torch.equal(
        one["stages.1.0.norm.running_mean"], two_["stages.1.0.norm.running_mean"]
    )
    early, late = (scores(first.networks_of(first.tensors_of(n)), [field]) for n in (before, after))
    assert all(late[name] > early[name] for name in late)


def test_colours_are_moved_and_tissue_stays_what_it_is(field: Field) -> None:
    (image,) = pretraining.prepared([field], 0, looks=1)
    rgb, stain = (
        torch.from_numpy(plane)[None].repeat(4, 1, 1, 1)
        for plane in (image.image, image.hematoxylin)
    )
    known = torch.ones(4, *image.known.shape, dtype=torch.bool)
    batch = Batch(rgb, stain, {}, known, known, {}, torch.zeros(4))
    moved = pretraining.recoloured(batch, torch.Generator().manual_seed(0))
    for old, new in ((rgb, moved.image), (stain, moved.hematoxylin)):
        assert new.shape == old.shape
        assert 0 <= new.min() <= new.max() <= 1
        assert not torch.allclose(new[0], new[1])
        for tile in range(4):
            pair = torch.stack([old[tile].mean(0).flatten(), new[tile].mean(0).flatten()])
            assert torch.corrcoef(pair)[0, 1] > 0.8
