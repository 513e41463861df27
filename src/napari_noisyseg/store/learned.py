"""Networks that learned from a person's decisions: files, and actions that can be undone."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_noisyseg import bounded_json
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.arrays import refuse_links
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.durable import make_folder, write_atomically
from napari_noisyseg.store.records import Aspect, Learned

_PAUSED = "paused"
"""stands among the networks, so that taking back and pausing are undone together"""
FOLDER = "models"
"""of the project; files are named by what they hold, and stay for undo and redo"""


class LearnedNetworks:
    """What the networks of the starter learned in this project; reach it as `project.learned`."""

    def __init__(self, context: Context, project: Path) -> None:
        self._context, self._folder = context, project / FOLDER

    def of(self, network: str) -> Learned | None:
        """What is used now; None where nothing was learned, or its file is gone."""
        found = self._context.database.row(
            "SELECT file, about FROM learned WHERE network = ?", (network,)
        )
        if found is None:
            return None
        path = self._folder / Path(found[0]).name
        if not path.is_file():
            return None
        about = bounded_json.parse(found[1], f"what {network} learned from")
        return Learned(network, path, bounded_json.record(about, f"what {network} learned from"))

    def keep(
        self, network: str, weights: bytes, about: Mapping[str, Any], unasked: bool = False
    ) -> Learned:
        """Use these weights (a safetensors file) from now on; one action.

        unasked: no person's action, so that undo passes it over; `forget` takes it back.
        """
        name = f"{network}-{hashlib.sha256(weights).hexdigest()[:12]}.safetensors"
        what = {"outline": "outlines", "centres": "where nuclei lie"}.get(network, network)
        words = f"learn {what} from {about.get('nuclei', 0)} nuclei"
        with (
            pyramid.told(f"cannot keep what was learned in {self._folder}"),
            self._noted(words) if unasked else self._changed(words, network),
        ):
            refuse_links(self._folder.parent, self._folder / name)
            make_folder(self._folder)
            write_atomically(self._folder / name, weights)
            self._context.database.run(
                "INSERT OR REPLACE INTO learned VALUES (?, ?, ?)",
                (network, name, json.dumps(dict(about))),
            )
        return Learned(network, self._folder / name, about)

    def forget(self, network: str, pause: bool = False) -> None:
        """Go back to the weights that came with the package; one action.

        pause: learn nothing by itself from then on, either; an undo takes back both.
        """
        with self._changed("forget what was learned", network, _PAUSED):
            self._context.database.run("DELETE FROM learned WHERE network = ?", (network,))
            if pause:
                self._set_paused(True)

    @property
    def paused(self) -> bool:
        """Whether a person wants nothing learned from decisions by itself in this project."""
        database = self._context.database
        return database.row("SELECT 1 FROM learned WHERE network = ?", (_PAUSED,)) is not None

    def pause(self, paused: bool) -> None:
        """Learn nothing by itself from now on, or do again; no action."""
        with self._context.database.transaction():
            self._set_paused(paused)

    def _set_paused(self, paused: bool) -> None:
        run = self._context.database.run
        run("DELETE FROM learned WHERE network = ?", (_PAUSED,))
        if paused:
            run("INSERT INTO learned VALUES (?, '', '{}')", (_PAUSED,))

    @contextlib.contextmanager
    def _noted(self, words: str) -> Iterator[None]:
        with self._context.database.transaction():
            yield
            self._context.history.note_machine(words, None, Aspect.LEARNED)

    @contextlib.contextmanager
    def _changed(self, words: str, *networks: str) -> Iterator[None]:
        history = self._context.history
        with (
            history.action(words, None, Aspect.LEARNED) as action,
            action.changing("learned", networks),
        ):
            yield
