"""What a project has to learn from, and which method that suits."""

from __future__ import annotations

from dataclasses import dataclass

from napari_noisyseg import registry
from napari_noisyseg.annotation.snapshot import PROPOSED
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project


@dataclass(frozen=True, slots=True)
class Annotation:
    """What people have said so far. points: that nobody rejected; rough: images with rough masks;
    proposed: nuclei of a run that nobody has decided on; accepted, images: counts.
    """

    images: int
    points: int
    rough: int
    proposed: int
    accepted: int

    def words(self) -> str:
        """The counts that matter, as a sentence."""
        said = [
            (self.points, f"{self.points} point{'' if self.points == 1 else 's'}"),
            (self.rough, f"rough masks in {_images(self.rough)}"),
            (self.accepted, nuclei(self.accepted, "accepted (clean) ")),
            (self.proposed, f"{nuclei(self.proposed)} proposed by a run"),
        ]
        named = [words for count, words in said if count]
        return f"You have {', '.join(named)}." if named else "There is no annotation yet."


@dataclass(frozen=True, slots=True)
class Advice:
    """The method for the annotation at hand, why, and what there is, in words."""

    method: str
    why: str
    have: str


def annotation(project: Project) -> Annotation:
    """Count what a project holds."""
    names = [image.name for image in project.images()]
    nuclei = [n for name in names for n in project.nuclei.of(name)]
    rough = sum("rough" in project.nuclei.planes(name) for name in names)
    candidates = (c for name in names for c in project.nuclei.candidates(name))
    return Annotation(
        images=len(names),
        points=sum(n.state != "rejected" for n in nuclei),
        rough=rough,
        proposed=sum(c.state in PROPOSED for c in candidates),
        accepted=sum(n.state == "accepted" for n in nuclei),
    )


def recommend(project: Project) -> Advice:
    """The method for the annotation at hand."""
    known, given = registry.names(), annotation(project)
    rough, clean = given.rough > 0, given.accepted > 0
    marked = given.points > given.accepted or _any_field(project)
    if not (given.points or rough or clean) and (empty := empty_field(project)):
        why = f"no nucleus is marked in field {empty[1]} of {empty[0]} yet: click its nuclei"
        return Advice("scnet", why, given.words())
    wishes: list[tuple[bool, str, str]] = [
        (
            rough and clean, "mmc",
            f"rough masks and {nuclei(given.accepted, 'accepted ')}: the masks can be corrected",
        ),
        (
            given.points > 0 and marked, "scnet",
            "points in a field: it learns outlines from them",
        ),
        (rough, "superpixel", "only rough masks: it finds and relabels the noisy parts"),
        (rough or clean, "supervised", "masks: it trains on them as they are"),
        (given.points == 0, "igtt", "no annotation: it trains without any"),
    ]  # fmt: skip
    for fits, method, why in wishes:
        if fits and method in known:
            return Advice(method, why, given.words())
    why = "click nuclei in a field: it learns outlines from points"
    return Advice("scnet", why, given.words())


def empty_field(project: Project) -> tuple[str, int] | None:
    """The first complete field in which nothing is marked: its image, and its number there."""
    for image in project.images():
        nuclei = [n for n in project.nuclei.of(image.name) if n.state != "rejected"]
        for number, field in enumerate(project.nuclei.fields(image.name), 1):
            pointed = any(field.box.contains(n.y, n.x) for n in nuclei)
            if field.complete and not pointed and not _painted(project, image.name, field.box):
                return image.name, number
    return None


def _painted(project: Project, image: str, box: Box) -> bool:
    """Whether a rough mask reaches into a box."""
    planes = project.nuclei.planes(image)
    return "rough" in planes and bool(project.nuclei.painted(image, box=box).any())


def _any_field(project: Project) -> bool:
    return any(project.nuclei.fields(image.name) for image in project.images())


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def nuclei(count: int, which: str = "") -> str:
    """That many nuclei in words; which: what they are, with a space after it."""
    return f"{count} {which}{'nucleus' if count == 1 else 'nuclei'}"
