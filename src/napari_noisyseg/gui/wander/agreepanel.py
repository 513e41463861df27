"""Whether the panel says what the disk holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.wander.disk import Disk

Words = Iterator[str]
OF = re.compile(r"(\d+) of (\d+)")


class PanelTruth:
    """Rows, header, lists and cards against a second reading of the project."""

    def __init__(self, panel: Panel, disk: Disk) -> None:
        self.panel, self.session, self.disk = panel, panel.session, disk

    def check(self) -> list[str]:
        """All that does not agree now."""
        checks = (self.header, self.step, self.annotate, self.field_list, self.review, self.queue)
        return [words for check in checks for words in check()]

    def header(self) -> Words:
        """The list of images, and which is chosen."""
        box, names = self.panel.header.images, list(self.disk.images())
        items = [box.itemText(i) for i in range(box.count())]
        if names and items != names:
            yield f"the panel lists {items}, the project has {names}"
        if names and box.currentText() != (self.session.image or ""):
            yield f"the panel says {box.currentText()!r}, in front is {self.session.image}"
        offered = bool(self.session.front.offered())
        if self.panel.header.offer.isHidden() == offered:
            yield f"a stranger's image is {'not ' * offered}offered"
        record = self.disk.images().get(self.session.image or "")
        mpp = self.panel.header.mpp
        typing = mpp.hasFocus() and mpp.isModified()
        if record is not None and not typing and mpp.text() != f"{record.mpp:.4g}":
            yield f"the panel says {mpp.text()} µm, the project {record.mpp}"

    def step(self) -> Words:
        """Open row, open controls and tool are those of the view."""
        view, panel = self.session.view, self.panel
        opened = [name for name, row in panel.rows.items() if row.is_open]
        if opened != [view.step] or panel.step != view.step:
            yield f"rows {opened} and controls of {panel.step} are open, the view says {view.step}"
        if panel.stack.currentIndex() != list(panel.docks).index(view.step):
            yield f"the controls in sight are not those of {view.step}"
        if self.session.keys.scope != view.step:
            yield f"the keys are those of {self.session.keys.scope}, the step is {view.step}"
        dock: Any = panel.docks["annotate"]
        pressed = [name for name, made in dock.tool_buttons.items() if made.isChecked()]
        if pressed != [view.tool]:
            yield f"the tools {pressed} are pressed, in hand is {view.tool}"
        yield from self._boxes()

    def _boxes(self) -> Words:
        view = self.session.view
        docks: dict[str, Any] = self.panel.docks
        boxes = {"coarse": docks["coarse"].shown, view.step: {}}
        if view.step in ("train", "review"):
            boxes[view.step] = docks[view.step].maps.boxes
        for step, found in boxes.items():
            for kind, box in found.items():
                if box.isVisible() and box.isChecked() != view.shows(kind):
                    yield f"the box {kind} in {step} is {box.isChecked()}, unlike the view"

    def annotate(self) -> Words:
        """The row's counts, and those of the image in front."""
        counts, text = self.disk.project.nuclei.counts(), self.panel.rows["annotate"].state.text
        if "rough" not in text and not text.startswith(f"{counts.nuclei} nucle"):
            yield f"the row says {text!r}, the disk has {counts.nuclei} nuclei"
        fields = OF.search(text) or re.search(r"(\d+) field", text)
        said = int(fields.groups()[-1]) if fields else 0
        if "rough" not in text and said != counts.fields:
            yield f"the row says {text!r}, the disk has {counts.fields} fields"
        image, dock = self.session.image, self.panel.docks["annotate"]
        here = len(self.disk.nuclei(image)) if image is not None else 0
        if dock.counts.text() != f"{here} here":
            yield f"the panel says {dock.counts.text()!r}, the disk {here}"

    def field_list(self) -> Words:
        """Each field, whether it is complete, how many nuclei lie in it, and which is chosen."""
        image, rows = self.session.image, self.panel.docks["annotate"].fields.list
        stored = self.disk.fields(image) if image is not None else []
        nuclei = self.disk.nuclei(image).values() if image is not None else ()
        shown = [rows.item(n) for n in range(rows.count())]
        if [item.data(256) for item in shown] != [field.id for field in stored]:
            yield f"{len(shown)} fields are listed, or others; the disk has {len(stored)}"
            return
        for item, field in zip(shown, stored, strict=True):
            count = sum(field.box.contains(n.y, n.x) for n in nuclei)
            if f" {count} nucle" not in item.text():
                yield f"a field is listed as {item.text()!r}, in it are {count}"
            if (item.checkState().value == 2) != field.complete:
                yield f"a field's tick is not what is stored: complete {field.complete}"
        current = rows.currentItem()
        chosen = kit_of(self.session).fields.chosen
        if (current.data(256) if current is not None else None) != chosen:
            yield "the field chosen in the list is not the one chosen on the canvas"

    def review(self) -> Words:
        """The row, the card, and that no more is reviewed than there is."""
        counts = self.disk.project.nuclei.counts()
        dock: Any = self.panel.docks["review"]
        for name, text in (
            ("row", self.panel.rows["review"].state.text), ("card", dock.card.progress.text()),
        ):  # fmt: skip
            said = OF.search(text)
            done, total = (int(v) for v in said.groups()) if said else (0, 0)
            if (done, total) != (counts.reviewed, counts.candidates):
                yield f"the {name} says {text!r}, disk {counts.reviewed} of {counts.candidates}"
            if done > total:
                yield f"the {name} says {text!r}"

    def queue(self) -> Words:
        """The review's queue holds what is to be judged, as it was decided."""
        dock: Any = self.panel.docks["review"]
        queue = dock.review.queue
        if self.session.view.step != "review" or queue is None:
            return
        wanted = {
            (id, c.state) for image in self.disk.images()
            for id, c in self.disk.judged(image).items()
        }  # fmt: skip
        found = [(item.id, item.state) for item in queue.items]
        if len(found) != len(set(found)) or set(found) != wanted:
            odd = set(found) ^ wanted
            yield f"the queue has {len(found)}, to be judged are {len(wanted)}: {len(odd)} differ"
        item = dock.review.item
        title = dock.card.title.text()
        if item is not None and title != f"Nucleus {item.candidate.serial}":
            yield f"the card is of {title!r}, under review is {item.candidate.serial}"
