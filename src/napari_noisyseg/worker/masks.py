"""Can these masks teach anything? Asked of a snapshot before any training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_noisyseg.data.regions import Region
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import Needs

SPECK = 2.0
"""µm² under which a mask is a speck: a tenth of the area of a small nucleus."""
MANY_SPECKS = 1000
BLOB = 0.6
"""Share of its image above which a single mask is no nucleus."""


@dataclass
class Judge:
    """Looks at every region of a run as it goes by, then says what is wrong with all of them."""

    needs: Needs | None
    noisy: int = field(default=0, init=False)
    nucleus: int = field(default=0, init=False)
    background: int = field(default=0, init=False)

    def looked_at(self, region: Region) -> Region:
        """The region itself; NoisySegError where its rough mask is no mask of nuclei."""
        if self.needs and self.needs.rough:
            _judge_rough(region)
        clean = region.clean > 0
        self.nucleus += int(clean.sum())
        self.background += int((region.clean_known & ~clean).sum())
        self.noisy += int((region.rough_known & ~(region.clean_known | clean)).sum())
        return region

    def verdict(self) -> None:
        """NoisySegError where clean or noisy pixels are missing that the method needs."""
        needs = self.needs
        if needs and needs.clean and not self.nucleus:
            raise NoisySegError(
                "no clean nucleus in the images of this run: accept some under Review, or import "
                "trusted masks (--clean); 'supervised' needs none"
            )
        if needs and needs.clean and not self.background:
            raise NoisySegError(
                "no clean background in the images of this run: the accepted nuclei fill them; "
                "accept nuclei of another image, or declare a field complete (--clean-complete)"
            )
        if needs and needs.rough and needs.clean and not self.noisy:
            raise NoisySegError(
                "every pixel of the rough masks is clean already, so there is nothing to correct: "
                "train with 'supervised', or add images with rough masks (--masks)"
            )


def _judge_rough(region: Region) -> None:
    areas = np.bincount(region.rough.ravel())[1:]
    areas = areas[areas > 0]
    if not len(areas):
        return
    largest = areas.max() / region.rough.size
    if largest > BLOB:
        raise NoisySegError(
            f"{region.image}: one rough mask covers {largest:.0%} of the image, which is no "
            "nucleus; rough masks need one value per nucleus and 0 for background"
        )
    specks = int((areas * region.mpp**2 < SPECK).sum())
    if specks > MANY_SPECKS and specks > len(areas) / 2:
        raise NoisySegError(
            f"{region.image}: {specks} of {len(areas)} rough masks are specks under {SPECK:g} µm²; "
            "remove them first, or check the pixel size of the image (--mpp)"
        )
