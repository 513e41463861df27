"""What every method must do, whatever its paper. A new method is found by its file's name."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from napari_noisyseg import methods, registry
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Method,
    MethodConfig,
    Preset,
    Progress,
    TrainingImage,
)

Build = Callable[..., Method]
START = Progress(epoch=0, epochs=10, step=0, fraction=0.0)
MIDDLE = Progress(epoch=5, epochs=10, step=50, fraction=0.5)
ALLOWED = {
    "method", "plans", "learning", "nets", "losses", "views", "meta", "noise", "metrics", "errors",
}  # fmt: skip
"""what of this package a method may import"""
PLANNED: dict[str, tuple[Any, Callable[[MethodConfig], Any]]] = {
    "stains": ("estimated", lambda c: c.pixels().stains),
    "level_stains": (True, lambda c: c.pixels().level_stains),
    "superpixel_um": (5.0, lambda c: c.pixels().superpixel_um),
    "cluster_recipe": ("published", lambda c: c.pixels().cluster_recipe),
    "tile": (96, lambda c: c.sampling().tile),
    "tile_overlap": (7, lambda c: c.sampling().overlap),
    "crop": (33, lambda c: c.sampling().crop),
    "batch_size": (5, lambda c: c.sampling().batch_size),
    "meta_batch_size": (3, lambda c: c.sampling().meta_batch_size),
    "hold_out": (False, lambda c: c.sampling().hold_out),
    "split_overlap": (0.5, lambda c: c.sampling().split_overlap),
    "stain_jitter": (0.5, lambda c: c.sampling().augmentation.stain),
    "splitting": ("centres", lambda c: c.prediction().splitting),
    "window": (128, lambda c: c.prediction().tiling.side),
    "window_overlap": (11, lambda c: c.prediction().tiling.overlap),
}
"""settings that plans pass on: a value unlike the plan's own, and where it stands"""


def source(name: str) -> Path:
    return Path(methods.__path__[0]) / f"{name.replace('-', '_')}.py"


def learned(method: Method) -> dict[str, Tensor]:
    """The weights that gradients move; running statistics are none of them."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {k: v.clone() for k, v in method.weights().items() if not k.endswith(statistics)}


def relabelled(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """`change` applied to every label, also to those that a method makes and of the meta tiles."""
    labels = {name: change(label) for name, label in batch.labels.items()}
    planes = {name: revised(plane, change) for name, plane in batch.planes.items()}
    meta = batch.meta and relabelled(batch.meta, change)
    return replace(batch, labels=labels, planes=planes, meta=meta)


def revised(plane: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change` applied to a plane of labels that a method makes itself, NaN where unknown."""
    states = change(plane.nan_to_num(UNKNOWN).to(torch.uint8))
    return states.float().masked_fill(states == UNKNOWN, torch.nan)


def nothing_known(batch: Batch) -> Batch:
    return replace(
        relabelled(batch, lambda label: torch.full_like(label, UNKNOWN)),
        known=torch.zeros_like(batch.known),
        tissue=torch.zeros_like(batch.tissue),
    )


def leaves(state: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state), path
        for key, value in state.items():
            yield from leaves(value, f"{path}/{key}")
    elif isinstance(state, list):
        for index, value in enumerate(state):
            yield from leaves(value, f"{path}/{index}")
    else:
        yield path, state


def through_a_file(state: Any) -> Any:
    """What a checkpoint makes of a state: tensors by safetensors, all else by JSON."""
    tensors = {k: v.contiguous() for k, v in leaves(state) if isinstance(v, Tensor)}
    stored = load_tensors(save_tensors(tensors))

    def rebuild(value: Any, path: str = "") -> Any:
        if isinstance(value, dict):
            return {k: rebuild(v, f"{path}/{k}") for k, v in value.items()}
        if isinstance(value, list):
            return [rebuild(v, f"{path}/{i}") for i, v in enumerate(value)]
        return stored[path] if isinstance(value, Tensor) else json.loads(json.dumps(value))

    return rebuild(state)


def test_is_described(name: str) -> None:
    method, description = registry.load(name), registry.describe(name)
    assert description.title
    assert description.paper
    assert (method.title, method.paper) == (description.title, description.paper)
    assert (method.needs, method.shows) == (description.needs, description.shows)


@pytest.mark.parametrize("preset", get_args(Preset))
def test_settings_are_flat_and_explained(name: str, preset: Preset) -> None:
    config = registry.load(name).Config.from_preset(preset)
    for field, value in config.model_dump().items():
        assert isinstance(value, bool | int | float | str), field
        assert type(config).model_fields[field].description, f"{field} has no docstring"
    assert json.loads(json.dumps(config.model_dump())) == config.model_dump()


def test_small_sees_less_than_paper(name: str) -> None:
    config = registry.load(name).Config
    small, paper = config.from_preset("small"), config.from_preset("paper")
    assert small.batch_size * small.crop**2 < paper.batch_size * paper.crop**2
    assert small.tile >= small.crop


@pytest.mark.parametrize("preset", get_args(Preset))
def test_uses_only_labels_that_it_says_it_needs(name: str, preset: Preset) -> None:
    method = registry.load(name)
    used = method.Config.from_preset(preset).label_planes()
    assert used is None or set(used) <= set(method.needs.labels)
    planes = {"voronoi", "cluster", "local", "outline", "rough", "clean", "given", "superpixel"}
    assert set(method.needs.labels) <= planes


def test_plans_say_what_the_settings_say(name: str) -> None:
    config = registry.load(name).Config
    known = {key: value for key, (value, _) in PLANNED.items() if key in config.model_fields}
    set_so = config.from_preset("small", **known)
    assert {key: PLANNED[key][1](set_so) for key in known} == known


def test_step_learns_and_says_what(build: Build, batch: Batch) -> None:
    method = build()
    before = learned(method)
    outcome = method.step(batch, MIDDLE)
    assert "total" in outcome.losses
    told = [*outcome.losses, *outcome.figures, "finished", "trusted"]
    assert len(set(told)) == len(told), "each name has one meaning"
    assert outcome.done in (None, False)
    assert outcome.trusted is None or 0 <= outcome.trusted <= 1
    assert all(type(v) is float and math.isfinite(v) for v in outcome.told().values())
    after = learned(method)
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert len(changed) > len(before) / 2


def test_learns_a_tiny_real_batch(build: Build, batch: Batch) -> None:
    method = build()
    before = method.validate(batch, START)["total"]
    for step in range(60):
        method.step(batch, Progress(0, 1, step, step / 60))
    assert method.validate(batch, START)["total"] < 0.8 * before
    nucleus = batch.labels["voronoi"] == 1
    background = batch.labels["voronoi"] == 0
    probability = method.predict(batch.image, batch.hematoxylin).probability
    assert probability[nucleus].mean() > probability[background].mean() + 0.2


def test_validation_changes_nothing(build: Build, batch: Batch) -> None:
    method = build()
    before = {k: v.clone() for k, v in leaves(method.state_dict()) if isinstance(v, Tensor)}
    first, again = method.validate(batch, MIDDLE), method.validate(batch, MIDDLE)
    method.predict(batch.image, batch.hematoxylin)
    assert first == again
    assert math.isfinite(first["total"])
    after = dict(leaves(method.state_dict()))
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_the_seed_decides_everything(build: Build, batch: Batch) -> None:
    runs = []
    for seed, disturbance in ((1, 10), (1, 20), (2, 10)):
        torch.manual_seed(disturbance)
        method = build(seed=seed)
        runs.append([method.step(batch, MIDDLE) for _ in range(2)])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_resumes_to_the_same_losses(build: Build, batch: Batch) -> None:
    method, resumed = build(seed=1), build(seed=2)
    for _ in range(3):
        method.step(batch, MIDDLE)
    state = through_a_file(method.state_dict())
    resumed.load_state_dict(state)
    expected = [method.step(batch, MIDDLE) for _ in range(2)]
    assert [resumed.step(batch, MIDDLE) for _ in range(2)] == expected
    assert method.validate(batch, MIDDLE) == resumed.validate(batch, MIDDLE)


def test_labels_it_makes_fit_the_images(build: Build, images: list[TrainingImage]) -> None:
    method = build()
    for revision in (*method.begin(images), *method.revise(MIDDLE, images)):
        assert revision.values.dtype == np.float32
        assert revision.values.shape == images[revision.image].known.shape
        assert not np.isinf(revision.values).any()
        images[revision.image].planes[revision.plane] = revision.values


def test_what_it_saw_at_the_beginning_is_part_of_its_state(
    build: Build, batch: Batch, images: list[TrainingImage]
) -> None:
    method, resumed = build(seed=1), build(seed=2)
    list(method.begin(images))
    resumed.load_state_dict(through_a_file(method.state_dict()))
    assert resumed.step(batch, MIDDLE) == method.step(batch, MIDDLE)


def test_state_has_plain_leaves(build: Build, batch: Batch) -> None:
    method = build()
    method.step(batch, MIDDLE)
    for path, leaf in leaves(method.state_dict()):
        assert leaf is None or isinstance(leaf, Tensor | bool | int | float | str), path


def test_weights_are_all_that_predicts(build: Build, batch: Batch) -> None:
    method, other = build(seed=1), build(seed=2)
    method.step(batch, MIDDLE)
    expected = method.predict(batch.image, batch.hematoxylin)
    other.load_weights(load_tensors(save_tensors(method.weights())))
    found = other.predict(batch.image, batch.hematoxylin)
    torch.testing.assert_close(found.probability, expected.probability, atol=1e-6, rtol=0)
    for key, value in expected.maps.items():
        torch.testing.assert_close(found.maps[key], value, atol=1e-6, rtol=0)


def test_wrong_weights_are_refused(build: Build) -> None:
    method = build()
    weights = method.weights()
    weights.pop(next(iter(weights)))
    with pytest.raises((KeyError, RuntimeError)):
        method.load_weights(weights)


@pytest.mark.parametrize("size", [(1, 48, 48), (2, 37, 53), (1, 9, 70)])
def test_predicts_any_size(build: Build, size: tuple[int, int, int]) -> None:
    count, height, width = size
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(count, 3, height, width, generator=generator)
    prediction = build().predict(image, image[:, :1])
    for plane in (prediction.probability, *prediction.maps.values()):
        assert plane.shape == size
        assert plane.isfinite().all()
        assert not plane.requires_grad
    assert 0 <= prediction.probability.min() <= prediction.probability.max() <= 1


def test_shows_what_it_promises(name: str, build: Build, batch: Batch) -> None:
    method = build()
    maps = dict(method.predict(batch.image, batch.hematoxylin).maps)
    method.step(batch, MIDDLE)
    explained = method.explain(batch)
    assert not set(maps) & set(explained)
    assert {*maps, *explained} == set(registry.load(name).shows)
    for plane in explained.values():
        assert plane.shape == batch.known.shape
        assert plane.isfinite().all()
        assert not plane.requires_grad


def test_trains_on_odd_crops(build: Build, batch: Batch) -> None:
    def cut(values: Tensor) -> Tensor:
        return values[..., :37, :45] if values.dim() > 1 else values

    odd = replace(batch.mapped(cut), meta=batch.meta and batch.meta.mapped(cut))
    assert math.isfinite(build().step(odd, MIDDLE).losses["total"])


def test_unknown_pixels_teach_nothing(build: Build, batch: Batch) -> None:
    method = build(weight_decay=0.0)
    before = learned(method)
    outcome = method.step(nothing_known(batch), MIDDLE)
    assert all(math.isfinite(value) for value in outcome.told().values())
    after = learned(method)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_unknown_is_not_background(build: Build, batch: Batch) -> None:
    """Where only nuclei are known, nothing teaches that the rest is background."""
    nuclei_only = relabelled(batch, lambda label: label.masked_fill(label == 0, UNKNOWN))
    background = batch.labels["voronoi"] == 0
    found = []
    for given in (nuclei_only, batch):
        method = build(average_weights=0.0)
        for step in range(40):
            method.step(given, Progress(0, 1, step, step / 80))
        probability = method.predict(batch.image, batch.hematoxylin).probability
        found.append(probability[background].mean().item())
    assert found[0] > found[1] + 0.1


def test_one_tile_is_enough(build: Build, batch: Batch) -> None:
    one = batch.mapped(lambda values: values[:1])
    assert math.isfinite(build().step(one, MIDDLE).losses["total"])


def test_imports_nothing_forbidden(name: str) -> None:
    """Methods stand on what learns and on equations, never on each other, files or screens."""
    for node in ast.walk(ast.parse(source(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            if node.module == "napari_noisyseg":
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            package, _, rest = module.partition(".")
            assert package not in {"napari", "qtpy", "magicgui", "PySide6", "logging", "pathlib"}
            assert package != "napari_noisyseg" or rest.split(".")[0] in ALLOWED, module


def test_touches_no_files_and_prints_nothing(name: str) -> None:
    tree = ast.parse(source(name).read_text(encoding="utf-8"))
    called = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not called & {"print", "open", "input", "exec", "eval"}
