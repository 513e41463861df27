from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from napari_noisyseg.nets import build
from napari_noisyseg.nets.colorization import Colorization
from napari_noisyseg.nets.resunet import ResUNet
from napari_noisyseg.nets.tiling import in_windows
from napari_noisyseg.nets.unet import UNet


def tiny_resunet(stem: str = "stride2") -> nn.Module:
    return build.resunet(1, 4, "1-1-1", stem)  # type: ignore[arg-type]


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "stride4": lambda: tiny_resunet("stride4"),
    "stride2": lambda: tiny_resunet("stride2"),
    "stride1": lambda: tiny_resunet("stride1"),
    "unet": lambda: UNet(1, 2, 4, 2),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("size", [(32, 32), (37, 53), (5, 1)])
def test_any_size_goes_in_and_comes_out(name: str, size: tuple[int, int]) -> None:
    net = MAKERS[name]().eval()
    assert net(torch.rand(2, 1, *size)).shape == (2, 2, *size)


@pytest.mark.parametrize("name", MAKERS)
def test_every_parameter_takes_part(name: str) -> None:
    net = MAKERS[name]()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    net(torch.rand(2, 1, 40, 24)).square().mean().backward()
    unused = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused


def test_the_encoder_of_the_paper_is_resnet34() -> None:
    net = ResUNet(1, 2)
    encoder = sum(p.numel() for part in (net.stem, net.stages) for p in part.parameters())
    published = 21_284_672  # torchvision's resnet34 without its classifier, three input channels
    assert encoder == published - 2 * 64 * 7 * 7
    convolutions = [m for m in net.stages.modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in convolutions) == 32


@pytest.mark.parametrize(("stem", "stride"), [("stride4", 4), ("stride2", 2), ("stride1", 1)])
def test_the_stem_shrinks_as_it_says(stem: str, stride: int) -> None:
    net = tiny_resunet(stem)
    seen: list[Tensor] = []
    net.stages[0].register_forward_hook(lambda *parts: seen.append(parts[-1]))  # type: ignore[union-attr, index]
    net.eval()(torch.zeros(1, 1, 64, 64))
    assert seen[0].shape[-1] == 64 // stride


def test_colors_are_colors() -> None:
    colors = Colorization(4, 1)(torch.rand(2, 2, 10, 11))
    assert colors.shape == (2, 3, 10, 11)
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_seeds_decide_and_leave_the_global_state_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    nets = [build.seeded(tiny_resunet, "cpu", seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    one, same, other = (net.head.weight for net in nets)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_windows_join_without_a_seam() -> None:
    blur = nn.AvgPool2d(9, stride=1, padding=4)
    x = torch.rand(1, 1, 200, 150, generator=torch.Generator().manual_seed(0))
    sizes: list[tuple[int, ...]] = []

    def forward(part: Tensor) -> Tensor:
        sizes.append(tuple(part.shape[-2:]))
        result: Tensor = blur(part)
        return result

    joined = in_windows(forward, x, side=64, margin=8)
    torch.testing.assert_close(joined, blur(x))
    assert len(sizes) > 4
    assert max(max(size) for size in sizes) <= 64


def test_a_small_image_is_one_window() -> None:
    calls: list[Tensor] = []
    x = torch.rand(1, 1, 64, 50)
    assert torch.equal(in_windows(lambda part: calls.append(part) or part, x, 64, 8), x)  # type: ignore[func-returns-value]
    assert len(calls) == 1
