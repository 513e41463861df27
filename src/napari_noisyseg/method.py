"""What a training method is. A method owns its update; the loop owns everything else.

Nothing here imports torch at run time, so that menus and forms can read it without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    Self,
)

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_noisyseg.plans import PixelPlan, PredictionPlan, SamplingPlan, Splitting

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND, NUCLEUS, UNKNOWN = 0, 1, 2
"""The three states of a pixel in every label plane. Unknown is never trained as background."""

KEPT, ADDED, REMOVED = 1, 2, 3
"""Values of the `changes` layer: nucleus before and after, only after, only before; else 0."""

Preset = Literal["small", "recommended", "paper"]
"""Shortened for a laptop; the paper with what we mend; the paper."""
PRESET_WORDS: dict[Preset, str] = {
    "small": "shortened for laptops",
    "recommended": "with our improvements",
    "paper": "as in the paper",
}
"""What menus say of a method's settings."""
Value = bool | int | float | str


class Departure(NamedTuple):
    """A preset's value of a setting, and why it is not the paper's."""

    value: Value
    why: str


Departures = Mapping[str, Departure]
READ_BY_STARTER = Departure(
    "centres", "the networks of the package were trained on true masks; a short training was not"
)
SHARED: dict[Preset, Departures] = {
    "paper": {},
    "recommended": {"splitting": READ_BY_STARTER},
    "small": {"splitting": READ_BY_STARTER},
}
"""What each preset changes in every method."""


class MethodConfig(BaseModel):
    """Base of every method's settings: flat fields (bool, int, float, str, Literal), frozen.

    The defaults are the paper's. `departures()` names what the other presets change, and why; who
    builds a config merges preset first, then what a person set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    preset: Preset = "paper"
    """defaults of the other settings: the paper's, the paper's with our improvements
    (recommended), or these shortened for a laptop (small)"""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    """length of the training; a time budget plans its own number instead"""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 8
    """tiles per update"""
    working_mpp: Annotated[float, Field(gt=0.05, le=4)] = 0.25
    """resolution at which the networks work, in µm per pixel"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 250
    """side of the training tiles, in working pixels"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 125
    """overlap of neighbouring training tiles, in working pixels"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 224
    """side of the random crop that an update sees, in working pixels"""
    splitting: Splitting = "components"
    """how the prediction is split into nuclei: connected components above 0.5; a watershed
    (ours); or centres, which combines it with the networks that come with the package (ours)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What each preset changes from the defaults, and why; overridden by methods."""
        return {}

    @classmethod
    def presets(cls) -> dict[Preset, dict[str, Value]]:
        """What each preset changes from the defaults."""
        return {
            preset: {name: d.value for name, d in departures.items()}
            for preset, departures in cls.departures().items()
        }

    @classmethod
    def reasons(cls, preset: Preset) -> dict[str, str]:
        """Why each setting of a preset is not the paper's."""
        every = {**SHARED[preset], **cls.departures().get(preset, {})}
        return {k: d.why for k, d in every.items() if d.value != cls.model_fields[k].default}

    def label_planes(self) -> tuple[str, ...] | None:
        """Which of `Needs.labels` these settings really use; None means all of them."""
        return None

    def pixels(self) -> PixelPlan:
        """How images become what networks see; overridden where a method has settings of it."""
        return PixelPlan()

    def sampling(self) -> SamplingPlan:
        """How tiles are cut and come in batches; overridden where a method has settings of it."""
        return SamplingPlan(
            tile=self.tile,
            overlap=min(self.tile_overlap, self.tile - 1),
            crop=self.crop,
            batch_size=self.batch_size,
            meta_batch_size=self.batch_size,
        )

    def prediction(self) -> PredictionPlan:
        """How images are predicted; overridden where a method has settings of it."""
        return PredictionPlan(splitting=self.splitting)

    def begins_with_starter(self) -> bool:
        """Whether networks begin with the first weights of the package, where these fit."""
        return False

    @classmethod
    def from_preset(cls, preset: Preset, **changes: Value) -> Self:
        """The preset's settings with a person's changes on top.

        Whoever sets a smaller `tile` and no overlap gets one of half a tile at most: the preset's
        may be as large as the tile, and each tile would start a pixel after the last.
        """
        shared = {name: d.value for name, d in SHARED[preset].items()}
        values = {"preset": preset, **shared, **cls.presets().get(preset, {}), **changes}
        tile = changes.get("tile")
        if isinstance(tile, int) and "tile_overlap" not in changes:
            usual = values.get("tile_overlap", cls.model_fields["tile_overlap"].default)
            values["tile_overlap"] = min(usual, tile // 2)
        return cls.model_validate(values)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method must be given; the loop and the Train dock check it before a run starts."""

    points: bool = False
    """points in a field that is declared complete, or a few nuclei clicked in one image"""
    rough: bool = False
    """rough (noisy) masks"""
    clean: bool = False
    """accepted nuclei or trusted masks"""
    masks: bool = False
    """masks of either kind, rough or clean"""
    halves: bool = False
    """training tiles split into two disjoint halves (`Batch.half`)"""
    meta: bool = False
    """a second batch of tiles that hold clean pixels beside each batch (`Batch.meta`)"""
    unlabeled: bool = False
    """tiles of tissue without any label serve as well"""
    labels: tuple[str, ...] = ()
    """label planes that batches must carry, of: voronoi cluster local outline rough clean given;
    and superpixel, which comes as `Batch.superpixels`"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. `fraction` is N / N_max, the papers' schedule variable, in [0, 1]."""

    epoch: int
    epochs: int
    step: int
    fraction: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Tiles at the run's working resolution, augmented alike in every plane; B x ... x h x w.

    image: float (B, 3, h, w), RGB in 0..1. hematoxylin: float (B, 1, h, w), x_h of Eq. 2 of the
    SC-Net paper in 0..1 (1 = no stain). labels: name to uint8 (B, h, w) of BACKGROUND, NUCLEUS,
    UNKNOWN. known: bool (B, h, w), inside a field declared complete and inside the image.
    tissue: bool (B, h, w), stained pixels inside the image. planes: name to float (B, h, w), what
    the method itself put there (NaN where nothing is known). half: int (B,), 0 or 1; a tile
    that both halves share (`SamplingPlan.split_overlap`) comes twice, once for each. meta: tiles
    around clean nuclei (`SamplingPlan.meta_batch_size` of them), for methods that need them.
    superpixels: int (B, h, w), ids from 1 that hold within a tile, 0 outside the image; for methods
    whose settings ask for the plane `superpixel`.
    """

    image: Tensor
    hematoxylin: Tensor
    labels: Mapping[str, Tensor]
    known: Tensor
    tissue: Tensor
    planes: Mapping[str, Tensor]
    half: Tensor
    meta: Batch | None = None
    superpixels: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with `change` applied to every tensor; `meta` stays as it is."""
        return replace(
            self,
            image=change(self.image),
            hematoxylin=change(self.hematoxylin),
            labels={name: change(label) for name, label in self.labels.items()},
            known=change(self.known),
            tissue=change(self.tissue),
            planes={name: change(plane) for name, plane in self.planes.items()},
            half=change(self.half),
            superpixels=None if self.superpixels is None else change(self.superpixels),
        )


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """One annotated image at working resolution, whole: what `begin` and `revise` may look at.

    image: float32 (3, H, W) RGB in 0..1; hematoxylin: float32 (1, H, W); labels: name to uint8
    (H, W); known, tissue: bool (H, W); points: float (n, 2), (y, x) in working pixels.
    """

    name: str
    image: NDArray[np.float32]
    hematoxylin: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.uint8]]
    known: NDArray[np.bool_]
    tissue: NDArray[np.bool_]
    points: NDArray[np.float64]
    planes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """what earlier revisions put there: name to (H, W)"""
    superpixels: NDArray[np.int32] | None = None
    """ids from 1, (H, W), where the settings ask for the plane `superpixel`"""


@dataclass(frozen=True, slots=True)
class Revision:
    """A label plane that the method changed: image index, name, float32 (H, W) of new values.

    round: from 1, where the method relabels in rounds that a person can step through; reasons: why
    each pixel is as it is then, name to float32 (H, W), such as loss and vote.
    """

    image: int
    plane: str
    values: NDArray[np.float32]
    round: int = 0
    reasons: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """probability of nucleus, float (B, h, w), and further maps to show, name to (B, h, w)."""

    probability: Tensor
    maps: Mapping[str, Tensor] = field(default_factory=dict)


Losses = dict[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an update.

    losses: by name, the one that was minimised as `total`. figures: by name, what else is worth
    following. done: whether nothing is left to learn; None where a method never says so. trusted:
    share of the doubtful labels that had any weight; None where none were weighed.
    """

    losses: Mapping[str, float]
    figures: Mapping[str, float] = field(default_factory=dict)
    done: bool | None = None
    trusted: float | None = None

    def told(self) -> dict[str, float]:
        """All of it by name, as events tell it: `done` as `finished`, what is None not at all."""
        told = {**self.figures, **self.losses}
        if self.done is not None:
            told["finished"] = float(self.done)
        if self.trusted is not None:
            told["trusted"] = self.trusted
        return told


class Method(Protocol):
    """One paper. `Config` is its settings; `needs` what it must be given.

    A method never touches files, logs, prints or chooses a device: it is built on the device the
    loop names and keeps its tensors there. Of a class that is derived from this one `begin`,
    `revise` and `explain` do nothing unless it says otherwise.
    """

    def __init__(self, config: Any, device: str, seed: int) -> None:
        """Networks and optimisers from random initialisation by `seed`, on `device`."""
        ...

    Config: ClassVar[type[MethodConfig]]
    needs: ClassVar[Needs]
    paper: ClassVar[str]
    """the citation, in a line"""
    title: ClassVar[str]
    """what a menu shows"""
    shows: ClassVar[tuple[str, ...]]
    """maps that `predict` gives beside the probability, then those that `explain` gives"""

    def begin(self, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        """Called once, before the first epoch: a look at whole images, and any first labels.

        A run that goes on after a stop has begun: what was seen here is part of `state_dict`.
        """
        return ()

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        """Called before each further epoch: new label planes over whole images."""
        return ()

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One whole update, backward and optimiser included."""
        ...

    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """The losses on held-out tiles, without an update; key `total` selects the best model."""
        ...

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """Probability of tiles (B, 3, h, w) and (B, 1, h, w); sides need no special divisor."""
        ...

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        """What the method makes of the labels it was given, name to float (B, h, w); may be {}.

        `corrected`: probability of nucleus of the label as the method believes it; `weights` and
        `weights_pseudo`: see the method. batch: whole images with the labels that a run started
        from and the planes of `begin` and `revise`.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that resumes: nested dicts, lists and numbers with tensors as leaves."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """The tensors that `predict` needs and no more: what a saved model holds."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`."""
        ...
