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
CONTRAST = 4
"""Grey levels between the darkest and the brightest pixel of an image that shows something."""


@dataclass
class Judge:
    """Looks at every region of a run as it goes by, then says what is wrong with all of them."""

    needs: Needs | None
    noisy: int = field(default=0, init=False)
    open: int = field(default=0, init=False)
    nucleus: int = field(default=0, init=False)
    background: int = field(default=0, init=False)
    told: set[str] = field(default_factory=set, init=False)
    blank: list[str] = field(default_factory=list, init=False)
    seen: int = field(default=0, init=False)

    def looked_at(self, region: Region) -> Region:
        """The region itself; NoisySegError where its rough mask is no mask of nuclei."""
        if self._learns_from_rough:
            judge_rough(region)
        clean, rough = region.clean > 0, region.rough > 0
        background, settled = region.clean_known & ~clean, region.clean_known | clean
        self.nucleus += int(clean.sum())
        self.background += int(background.sum())
        self.noisy += int((region.rough_known & ~settled).sum())
        self.open += int((~settled).sum())
        if clean.any() or rough.any():
            self.told.add("nucleus")
        if background.any() or (region.rough_known & ~rough).any():
            self.told.add("background")
        self._look_blank(region)
        return region

    @property
    def _learns_from_rough(self) -> bool:
        return self.needs is not None and "rough" in self.needs.labels

    def _look_blank(self, region: Region) -> None:
        """Note a region of one colour: one bright nucleus is enough for it to be none."""
        self.seen += 1
        low, high = (edge(region.rgb, axis=(0, 1)) for edge in (np.min, np.max))
        if (high.astype(int) - low).max() < CONTRAST:
            self.blank.append(
                f"{region.image} is blank (all pixels between {low.min()} and {high.max()} of 255)"
            )

    def verdict(self) -> None:
        """NoisySegError where clean or noisy pixels are missing that the method needs."""
        needs = self.needs
        if needs and needs.clean:
            self._judge_clean()
        elif self._learns_from_rough:
            self._judge_classes()
        if needs and needs.clean and self._learns_from_rough:
            self._judge_corrigible(needs)
        if needs and self.blank and len(self.blank) == self.seen:
            raise NoisySegError(
                f"nothing to train on: {'; '.join(self.blank[:3])}; give the images of these "
                "annotations, or save them again with their range stretched"
            )

    def _judge_clean(self) -> None:
        if not self.nucleus:
            raise NoisySegError(
                "no clean nucleus in the images of this run: accept some under Review, or import "
                "trusted masks (noisyseg import --as clean); 'supervised' needs none"
            )
        if not self.background:
            raise NoisySegError(
                "no clean background in the images of this run: the accepted nuclei fill them; "
                "accept nuclei of another image, or declare a field complete (noisyseg field)"
            )

    def _judge_classes(self) -> None:
        for what, mend in (
            ("nucleus", "check that the right masks were imported"),
            ("background", "masks must leave out what is no nucleus"),
        ):
            if what not in self.told:
                raise NoisySegError(f"the masks hold no {what} in any image of the run: {mend}")

    def _judge_corrigible(self, needs: Needs) -> None:
        """Where nothing is left that a method could doubt; some learn from bare tissue as well."""
        if self.open if needs.unlabeled else self.noisy:
            return
        what = "of the images" if needs.unlabeled else "of the rough masks"
        raise NoisySegError(
            f"every pixel {what} is clean already, so there is nothing to correct: "
            "train with 'supervised', or add images with rough masks "
            "(noisyseg add, noisyseg import --as rough)"
        )


def judge_rough(region: Region) -> None:
    """NoisySegError where the rough mask of a region is no mask of nuclei."""
    areas = np.unique(region.rough[region.rough > 0], return_counts=True)[1]
    if not len(areas):
        return
    largest = areas.max() / region.rough.size
    if largest > BLOB:
        raise NoisySegError(
            f"{region.image}: one rough mask covers {largest:.0%} of the image, so it is not a "
            "nucleus; rough masks need one value per nucleus and 0 for background"
        )
    specks = int((areas * region.mpp**2 < SPECK).sum())
    if specks > MANY_SPECKS and specks > len(areas) / 2:
        raise NoisySegError(
            f"{region.image}: {specks} of {len(areas)} rough masks are specks under {SPECK:g} µm²; "
            "remove them first, or check the pixel size of the image (noisyseg info)"
        )
