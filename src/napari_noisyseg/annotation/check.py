"""Before a run starts: has the project what the method needs, and are the settings possible?"""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_noisyseg import registry
from napari_noisyseg.annotation.advice import empty_field
from napari_noisyseg.annotation.snapshot import PROPOSED
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances.suggest import FEWEST
from napari_noisyseg.method import Needs
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.spec import RunSpec

GPU_DRIVERS = (
    "/proc/driver/nvidia", "/dev/nvidiactl", "/dev/nvhost-ctrl", "/dev/nvhost-ctrl-gpu",
    "/dev/kfd", "/dev/dxg",
)  # fmt: skip
"""On Linux one of these is there where torch may find a GPU: NVIDIA's, AMD's or Windows's."""

_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,)
}  # fmt: skip

_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "minimum": ("at least", operator.ge),
    "exclusiveMinimum": ("above", operator.gt),
    "maximum": ("at most", operator.le),
    "exclusiveMaximum": ("below", operator.lt),
}


def check(project: Project, spec: RunSpec) -> None:
    """Raise NoisySegError, saying how to mend it, when a run of this spec cannot work."""
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing and spec.scheduler is None:
        raise NoisySegError(
            f"training needs {' and '.join(missing)}: pip install 'napari-noisyseg[train]'"
        )
    description = registry.describe(spec.method)
    check_settings(description.schema, spec.config)
    check_tiles(spec.config, description.presets)
    if spec.scheduler is None:
        check_device(spec.device)
    if spec.resume is None:
        check_needs(project, spec.method, description.needs, spec.images)


def check_needs(
    project: Project, method: str, needs: Needs, images: Sequence[str] | None = None
) -> None:
    """Raise NoisySegError when the annotation is not what the method learns from."""
    names = list(images) if images is not None else [image.name for image in project.images()]
    if not names and project.images():
        raise NoisySegError("no image was chosen to learn from: name one, or leave images out")
    if not names:
        raise NoisySegError(
            f"{project.path}: has no image yet; add one (noisyseg add)",
            window="There is no image yet: drop one into the window.",
        )
    if needs.points:
        _check_points(project, method, names)
    _check_masks(project, method, needs, names)


def _check_masks(project: Project, method: str, needs: Needs, names: Sequence[str]) -> None:
    title = _title(method)
    rough = any(_rough(project, name) for name in names)
    clean = any(_accepted(project, name) for name in names)
    if needs.rough and not rough:
        raise NoisySegError(
            f"{method} needs rough masks, and there are none: paint some under Annotate, or "
            "import them (noisyseg import --as rough)",
            window=f"{title} learns from rough masks and there are none: paint some under "
            "Annotate, or import them with the panel's menu.",
        )
    if needs.clean and not clean:
        raise NoisySegError(
            f"{method} needs accepted nuclei, and there are none: accept some under Review, "
            "or import trusted masks (noisyseg import --as clean); "
            f"{_instead(project, names, rough)}",
            window=f"{title} learns from accepted nuclei and there are none: accept some under "
            f"Review; {_instead(project, names, rough, _quoted_title)}.",
        )
    if needs.masks and not (rough or clean):
        raise NoisySegError(
            f"{method} needs masks, and there are none: import some (noisyseg import "
            "--as rough, noisyseg import --as clean) or accept nuclei under Review",
            window=f"{title} needs masks, and there are none: paint some under Annotate, "
            "import them with the panel's menu, or accept nuclei under Review.",
        )


def _instead(
    project: Project, names: Sequence[str], rough: bool, called: Callable[[str], str] = repr
) -> str:
    """A method for what there is, as it is called in the place that says so."""
    if rough:
        return f"{called('supervised')} learns from rough masks alone"
    if any(project.nuclei.of(name) for name in names):
        return f"{called('scnet')} learns from points"
    return f"{called('igtt')} learns from images without any annotation"


def _title(method: str) -> str:
    """What the window's menu calls a method."""
    return registry.describe(method).title if method in registry.names() else method


def _quoted_title(method: str) -> str:
    return f"“{_title(method)}”"


def check_begun(project: Project) -> None:
    """Raise NoisySegError where a person has declared a field complete and marked nothing in it.

    For the window, before it starts a method without annotation that nobody has chosen by hand.
    """
    empty = empty_field(project)
    if empty is not None:
        raise NoisySegError(_unmarked(*empty))


def _unmarked(image: str, number: int) -> str:
    return (
        f"No nucleus is marked in field {number} of {image}. Click its nuclei (step 1), or choose "
        "a method that needs no annotation."
    )


def _rough(project: Project, name: str) -> bool:
    """Rough masks, or what a run has proposed and nobody has decided on yet."""
    return "rough" in project.nuclei.planes(name) or any(
        c.state in PROPOSED for c in project.nuclei.candidates(name)
    )


def _accepted(project: Project, name: str) -> bool:
    return any(n.state == "accepted" for n in project.nuclei.of(name))


def _check_points(project: Project, method: str, names: Sequence[str]) -> None:
    """A point must lie in a complete field, or enough of them in an image to teach their rims."""
    marked = complete = False
    for name in names:
        points = [n for n in project.nuclei.of(name) if n.state != "rejected"]
        fields = [f.box for f in project.nuclei.fields(name) if f.complete]
        marked = marked or bool(points)
        complete = complete or bool(fields)
        inside = any(box.contains(n.y, n.x) for n in points for box in fields)
        if inside or len(points) >= FEWEST:
            return
    if not marked:
        raise NoisySegError(
            f"{method} needs points, and there are none: click nuclei under Annotate, or "
            "import points (noisyseg create --points, noisyseg import --as points)",
            window=_no_points(project, method),
        )
    what = "no point lies in a complete field" if complete else "no field is declared complete"
    raise NoisySegError(
        f"{what}, so nothing is known to be background: mark a field in which every nucleus "
        f"has its point (noisyseg field, or Annotate ▸ field), or click at least {FEWEST} nuclei "
        "of one image",
        window=f"{what[:1].upper()}{what[1:]}, so nothing is known to be background: draw a field "
        "in which every nucleus has its point (step 1) and tick it, or click at least "
        f"{FEWEST} nuclei of one image.",
    )


def _no_points(project: Project, method: str) -> str:
    """What the window says where there is no point at all."""
    empty = empty_field(project)
    if empty is not None:
        return _unmarked(*empty)
    return (
        f"{_title(method)} needs points, and there are none: click nuclei (step 1), or choose "
        "a method that needs no annotation."
    )


def check_settings(schema: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raise NoisySegError for a setting that is unknown, of the wrong type or out of bounds.

    By the JSON schema in `methods.json`, so that nobody waits for torch to be told.
    """
    properties: Mapping[str, Any] = schema["properties"]
    for name, value in config.items():
        if name not in properties:
            raise NoisySegError(f"setting {name!r}: not one of {', '.join(sorted(properties))}")
        wrong = _wrong(properties[name], value)
        if wrong:
            raise NoisySegError(f"setting {name}: must be {wrong} (given: {value!r})")


def check_tiles(config: Mapping[str, Any], presets: Mapping[Any, Mapping[str, Any]]) -> None:
    """Raise NoisySegError for an overlap as large as the tile, whichever preset it comes to."""
    overlap, preset = config.get("tile_overlap"), config.get("preset")
    tiles = [values["tile"] for name, values in presets.items() if preset in (None, name)]
    tile = config.get("tile") or max(tiles)
    if overlap is not None and overlap >= tile:
        raise NoisySegError(
            f"setting tile_overlap: must be smaller than the tile of {tile} pixels (given: "
            f"{overlap}); at most half of it is usual"
        )


def check_device(device: str) -> None:
    """Raise NoisySegError for a device that cannot be here, as far as that shows without torch."""
    if device == "cuda" and not _may_have_cuda():
        raise NoisySegError(
            "no CUDA device here; use --device auto or cpu",
            window="no graphics card (CUDA) is found here; choose “the fastest available”",
        )
    if device == "mps" and sys.platform != "darwin":
        raise NoisySegError(
            "no Apple MPS device here; use --device auto or cpu",
            window="no Apple graphics (MPS) is found here; choose “the fastest available”",
        )


def _may_have_cuda() -> bool:
    with contextlib.suppress(PackageNotFoundError):
        if version("torch").endswith("+cpu"):
            return False
    if sys.platform == "darwin":
        return False
    return sys.platform != "linux" or any(Path(path).exists() for path in GPU_DRIVERS)


def _wrong(rule: Mapping[str, Any], value: Any) -> str | None:
    """What a value should be, in words, when it is not; None when it is."""
    if "enum" in rule:
        return None if value in rule["enum"] else "one of " + ", ".join(map(str, rule["enum"]))
    kind = rule.get("type", "")
    types = _TYPES.get(kind)
    if types and (not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean")):
        return f"{'an' if kind == 'integer' else 'a'} {kind}"
    for key, (words, fits) in _BOUNDS.items():
        if key in rule and not fits(value, rule[key]):
            return f"{words} {rule[key]}"
    return None
