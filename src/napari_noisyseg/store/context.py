"""What every kind of annotation is written with."""

from __future__ import annotations

from dataclasses import dataclass

from napari_noisyseg.store.database import Database
from napari_noisyseg.store.history import History
from napari_noisyseg.store.images import Images


@dataclass(frozen=True, slots=True)
class Context:
    """The open project's database, history and images."""

    database: Database
    history: History
    images: Images

    def serials(self, count: int) -> range:
        """The next `count` serials; they are never given twice, undone or not."""
        self.database.run("UPDATE fact SET value = value + ? WHERE name = 'serial'", (count,))
        last = int(self.database.value("SELECT value FROM fact WHERE name = 'serial'"))
        return range(last - count + 1, last + 1)
