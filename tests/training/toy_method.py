"""A method that learns one number a pixel, so that the loop can be tested in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_noisyseg.method import (
    Batch,
    Losses,
    MethodConfig,
    Needs,
    Outcome,
    Prediction,
    Progress,
    Revision,
    TrainingImage,
)


class Toy:
    """Logistic regression on the hematoxylin component, with dropout to need random numbers."""

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    needs: ClassVar[Needs] = Needs(halves=True, labels=("local",))
    paper: ClassVar[str] = "none"
    title: ClassVar[str] = "Toy"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: Any, device: str = "cpu", seed: int = 0) -> None:
        self.net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout(0.2))
        nn.init.constant_(self.net[0].weight, 0.1 + seed)
        nn.init.zeros_(self.net[0].bias)
        self.optimizer = torch.optim.Adam(self.net.parameters(), 0.05)
        self.fractions: list[float] = []
        self.batch_sizes: list[int] = []
        self.fail_above: int | None = None
        self.calls: list[str] = []

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        if self.fail_above and len(batch.image) > self.fail_above:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.fractions.append(progress.fraction)
        self.batch_sizes.append(len(batch.image))
        self.net.train()
        loss = self._loss(batch)
        if "pseudo" in batch.planes:
            plane = batch.planes["pseudo"].nan_to_num(0.5)
            loss = loss + (self._probability(batch.hematoxylin) - plane).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return Outcome({"total": float(loss.detach())})

    def _probability(self, hematoxylin: Tensor) -> Tensor:
        return torch.sigmoid(self.net(hematoxylin))[:, 0]

    def _loss(self, batch: Batch) -> Tensor:
        label = batch.labels["local"]
        wrong = (self._probability(batch.hematoxylin) - label.float()).square()
        return wrong[label < 2].mean()

    def validate(self, batch: Batch, progress: Progress) -> Losses:
        self.net.eval()
        with torch.no_grad():
            return {"total": float(self._loss(batch))}

    def begin(self, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        self.calls.append("begin")
        return ()

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        self.calls.append(f"revise {progress.epoch}")
        self.net.eval()
        for i, image in enumerate(images):
            with torch.no_grad():
                new = self._probability(torch.from_numpy(image.hematoxylin)[None])[0].numpy()
            old = image.planes.get("pseudo", new)
            yield Revision(i, "pseudo", (0.3 * new + 0.7 * old).astype(np.float32))

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        self.net.eval()
        probability = self._probability(hematoxylin)
        return Prediction(probability, {"uncertainty": probability * (1 - probability)})

    def explain(self, batch: Batch) -> Mapping[str, Tensor]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"net": dict(self.net.state_dict()), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        return dict(self.net.state_dict())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.net.load_state_dict(weights)


def images(count: int = 2, side: int = 96) -> list[TrainingImage]:
    """Random blocks whose label says where they are dark."""
    made = []
    for seed in range(count):
        blocks = np.random.default_rng(seed).random((side // 8, side // 8))
        stain = np.kron(blocks, np.ones((8, 8))).astype(np.float32)[None]
        made.append(
            TrainingImage(
                name=f"i{seed}",
                image=np.repeat(stain, 3, axis=0),
                hematoxylin=stain,
                labels={"local": (stain[0] < 0.5).astype(np.uint8)},
                known=np.ones((side, side), bool),
                tissue=np.ones((side, side), bool),
                points=np.zeros((0, 2)),
            )
        )
    return made


def config(**changes: Any) -> MethodConfig:
    """Small tiles."""
    values = {"tile": 48, "tile_overlap": 0, "crop": 32, "batch_size": 4, "epochs": 2, **changes}
    return MethodConfig.model_validate(values)
