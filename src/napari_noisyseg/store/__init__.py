"""The project on disk, the one source of truth."""

from napari_noisyseg.store.image_folder import checked_mpp
from napari_noisyseg.store.labels import Labels
from napari_noisyseg.store.nuclei import Nuclei
from napari_noisyseg.store.packed import Packed, Selection
from napari_noisyseg.store.project import ASSUMED_MPP, SUFFIX, Project
from napari_noisyseg.store.records import (
    Aspect,
    Candidate,
    Counts,
    Field,
    HistoryEntry,
    ImageRecord,
    JournalEntry,
    Nucleus,
    NucleusClass,
    Outline,
    State,
)
from napari_noisyseg.store.runs import EventTail, Run, Runs, RunState

__all__ = [
    "ASSUMED_MPP",
    "SUFFIX",
    "Aspect",
    "Candidate",
    "Counts",
    "EventTail",
    "Field",
    "HistoryEntry",
    "ImageRecord",
    "JournalEntry",
    "Labels",
    "Nuclei",
    "Nucleus",
    "NucleusClass",
    "Outline",
    "Packed",
    "Project",
    "Run",
    "RunState",
    "Runs",
    "Selection",
    "State",
    "checked_mpp",
]
