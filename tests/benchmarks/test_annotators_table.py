"""`two-annotators`: what is compared differs in its method and in nothing else."""

from __future__ import annotations

from napari_noisyseg import registry
from napari_noisyseg.benchmarks.annotators import METHODS, settings_of


def test_methods_with_the_same_network_share_every_setting_that_they_have_in_common() -> None:
    alike = [name for name in METHODS if name != "mlbseg"]
    found = []
    for name in alike:
        kind = registry.load(name).Config
        known = {k: v for k, v in settings_of(name).items() if k in kind.model_fields}
        found.append(kind.from_preset("small", **known).model_dump())
    common = set.intersection(*(set(config) for config in found)) - {"meta_batch_size"}
    assert {"input", "weight_decay", "lr", "width", "batch_size"} <= common
    for name in common:
        assert len({str(config[name]) for config in found}) == 1, name
