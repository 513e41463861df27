"""MLB-Seg's student, a UNet++, and the mean teacher that follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.settings.stain import StainConfig
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Losses,
    Method,
    Prediction,
    Progress,
    TrainingImage,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.tiling import in_windows


class StudentConfig(StainConfig):
    """Network, teacher and optimiser; where the paper is silent, the published code's or ours."""

    mean_teacher: bool = True
    """follow the network by a teacher, section 3.3"""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """decay of the teacher's moving average of the weights"""
    ema_restart: bool = False
    """let the teacher follow fast again at the start of every epoch (published)"""
    gamma: Annotated[float, Field(ge=0, le=10)] = 0.1
    """level of the noise in the teacher's input, Eq. 12 with N(0, 1) (numbers not in the paper)"""
    teacher_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the consistency with the teacher, Eq. 13 (not in the paper)"""
    predicts: Literal["teacher", "student"] = "teacher"
    """which network predicts where there is a teacher (not in the paper)"""
    clip: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """largest norm of an update's gradient (published: 0.2); 0: no limit"""
    input: Literal["hematoxylin", "rgb"] = "rgb"
    """what the network sees: the hematoxylin component alone, or the colours"""
    width: Annotated[int, Field(ge=4, le=256)] = 32
    """channels of the UNet++ at its first scale"""
    depth: Annotated[int, Field(ge=1, le=5)] = 4
    """number of times the UNet++ halves the image"""
    lr: Annotated[float, Field(gt=0, le=1)] = 0.005
    """learning rate alpha of SGD, Eq. 9"""
    lr_schedule: Literal["constant", "decay", "cosine"] = "constant"
    """learning rate: constant, lr 20 / (epoch + 20) (published), or a cosine (ours)"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """momentum of SGD"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    """weight decay of SGD"""


class Student:
    """The network `net`, its optimiser, and the teacher, None where there is none."""

    def __init__(self, config: StudentConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        c, inputs = config, 1 if config.input == "hematoxylin" else 3
        self.net = build.seeded(lambda: build.unetpp(inputs, c.width, c.depth), device, seed)
        self.teacher = WeightAverage(self.net, c.ema_decay) if c.mean_teacher else None
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), c.lr, momentum=c.momentum, weight_decay=c.weight_decay
        )
        self.noise = torch.Generator().manual_seed(seed)

    def begin(self, progress: Progress) -> None:
        """Train mode, and the learning rate at N / N_max."""
        c = self.config
        rate = c.lr * 20 / (progress.epoch + 20) if c.lr_schedule == "decay" else c.lr
        if c.lr_schedule == "cosine":
            rate = losses.cosine_rate(progress.fraction, c.lr)
        optimizers.set_rate(self.optimizer, rate)
        self.net.train()

    def begin_epoch(self) -> None:
        """The teacher follows fast again, if the settings say so."""
        if self.config.ema_restart and self.teacher is not None:
            self.teacher.updates = 0

    def update(self, loss: Tensor) -> None:
        """One step of SGD down the loss; the teacher follows. Nothing where nothing was learned."""
        if not loss.requires_grad:
            return
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        self.optimizer.step()
        if self.teacher is not None:
            self.teacher.update(self.net)

    def beside_teacher(self, x: Tensor, present: Tensor, counts: Tensor) -> Tensor:
        """Eqs. 12 and 13: how far the student is from the teacher, which sees x with noise."""
        assert self.teacher is not None
        noise = self.config.gamma * torch.randn(x.shape, generator=self.noise)
        with torch.no_grad():
            other = build.nucleus(self.teacher.module(x + noise.to(x)))
        return 2 * losses.masked_mean((present - other).square(), counts)

    def input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """Darkness, so that the network's zero padding means no stain."""
        return build.darkness(self.config.input, image, hematoxylin)

    def predictor(self) -> nn.Module:
        """The network that predicts, in evaluation mode."""
        if self.teacher is not None and self.config.predicts == "teacher":
            return self.teacher.module
        return self.net.eval()

    @torch.no_grad()
    def judge(self, batch: Batch) -> Losses:
        """Cross-entropy on held-out clean pixels; on rough ones where a batch has no clean one."""
        label = batch.labels["clean"]
        label = label if (label != UNKNOWN).any() else batch.labels["rough"]
        logits = self.predictor()(self.input(batch.image, batch.hematoxylin))
        loss = losses.cross_entropy(logits, label).item()
        return {"clean": loss, "total": loss}

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The network's softmax; `uncertainty` is 1 on the decision boundary and 0 where sure."""
        probability = build.nucleus(self.predictor()(self.input(image, hematoxylin)))
        return Prediction(probability, {"uncertainty": 1 - (2 * probability - 1).abs()})

    @torch.no_grad()
    def whole(self, image: TrainingImage) -> NDArray[np.float32]:
        """Probability of nucleus of a whole image by the student as it is, float32 (H, W)."""
        net = self.net.eval()
        planes = (image.image, image.hematoxylin)
        x = self.input(*(torch.as_tensor(plane, device=self.device)[None] for plane in planes))
        found = in_windows(lambda part: build.nucleus(net(part))[:, None], x)
        probability: NDArray[np.float32] = found[0, 0].float().cpu().numpy()
        return probability

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimiser, and the noise's random state."""
        return {
            "net": dict(self.net.state_dict()),
            "teacher": {} if self.teacher is None else dict(self.teacher.state_dict()),
            "optimizer": optimizers.state_of(self.optimizer),
            "noise": self.noise.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.net.load_state_dict(state["net"])
        if self.teacher is not None:
            self.teacher.load_state_dict(state["teacher"])
        optimizers.load_state(self.optimizer, state["optimizer"])
        self.noise.set_state(state["noise"].cpu())

    def weights(self) -> dict[str, Tensor]:
        """The network that predicts."""
        return build.prefixed({"net": self.predictor()})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        build.load_prefixed({"net": self.net}, weights)
        if self.teacher is not None:
            build.load_prefixed({"net": self.teacher.module}, weights)


class Taught(Method):
    """A method that trains one `student`: how it is judged and predicts."""

    student: Student

    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Cross-entropy on held-out clean pixels; on rough ones where a batch has no clean one."""
        return self.student.judge(batch)

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The softmax of the network that predicts, and its `uncertainty`."""
        return self.student.predict(image, hematoxylin)

    def weights(self) -> dict[str, Tensor]:
        """The network that predicts."""
        return self.student.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.student.load_weights(weights)
