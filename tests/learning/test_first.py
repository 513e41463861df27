"""First weights: which networks take them, and the file that holds them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from napari_noisyseg import registry  # noqa: E402
from napari_noisyseg.learning import first  # noqa: E402
from napari_noisyseg.nets import build  # noqa: E402

WITH_FIRST = sorted(set(registry.names()) - {"igtt"})


@pytest.mark.parametrize("name", WITH_FIRST)
def test_every_network_of_the_small_preset_takes_them(name: str) -> None:
    kind = registry.load(name)
    method = kind(kind.Config.from_preset("small"), "cpu", 0)
    found = first.begun(method.weights(), first.shipped().networks)
    assert found.taken
    assert not found.left
    method.load_weights(found.weights)
    for key, values in method.weights().items():
        assert torch.equal(values, found.weights[key]), key


def test_igtt_learns_from_nothing() -> None:
    config = registry.load("igtt").Config.from_preset("small")
    assert not config.begins_with_starter()


@pytest.mark.parametrize("name", ["scnet", "superpixel"])
def test_a_pair_begins_as_two(name: str) -> None:
    kind = registry.load(name)
    method = kind(kind.Config.from_preset("small"), "cpu", 0)
    weights = first.begun(method.weights(), first.shipped().networks).weights
    one, two = ({k[2:]: v for k, v in weights.items() if k.startswith(n)} for n in ("a.", "b."))
    for part in ("stem.0.weight", "head.weight"):
        assert not torch.allclose(one[part], two[part])


def test_what_does_not_fit_stays_bit_for_bit() -> None:
    kind = registry.load("scnet")
    method = kind(kind.Config.from_preset("small", width=16), "cpu", 0)
    before = {key: values.clone() for key, values in method.weights().items()}
    found = first.begun(method.weights(), first.shipped().networks)
    assert (found.taken, found.left) == ((), ("a", "b"))
    assert found.weights.keys() == before.keys()
    assert all(torch.equal(found.weights[key], values) for key, values in before.items())


def test_a_third_network_stays_at_random() -> None:
    kind = registry.load("supervised")
    method = kind(kind.Config.from_preset("small", networks=3), "cpu", 0)
    found = first.begun(method.weights(), first.shipped().networks)
    assert (found.taken, found.left) == (("net", "net_2"), ("net_3",))


def test_the_file_gives_networks_back_but_for_their_rounding() -> None:
    nets = [build.seeded(lambda: build.unetpp(1, 4, 2), "cpu", seed) for seed in (0, 1)]
    nets[1].down = nets[0].down
    networks = {f"unetpp.hematoxylin.{n}": net.state_dict() for n, net in enumerate(nets)}
    tensors = first.tensors_of(networks)
    assert "unetpp/down.0.0.0.weight" in tensors, "what both share stands there once"
    assert "unetpp.hematoxylin.1/up.0.0.conv.0.0.weight" in tensors
    again = first.networks_of(tensors)
    assert again.keys() == networks.keys()
    for name, state in again.items():
        assert state.keys() == {k for k in networks[name] if not k.endswith("batches_tracked")}
        for key, values in state.items():
            true = networks[name][key]
            room = true.abs().flatten(1).amax(1).max() / 127 if true.ndim > 1 else 0.0
            assert (values - true).abs().max() <= 0.51 * room, key
