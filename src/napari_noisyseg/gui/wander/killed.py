"""The window as the program that is killed: `python -m … FOLDER SEED FIRST LOG`.

A hand acts on the bundled tissue in FOLDER with real events, from act FIRST of its day on, without
end. After each act, and whenever anybody in the window hears of a change, LOG tells what the window
shows by now.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np


def shown(panel: Any) -> dict[str, Any]:
    """What can be seen: points, fields, mask of the image in front, decisions; of which version."""
    from napari_noisyseg.gui.canvas import layers

    session, image = panel.session, panel.session.image
    seen = {
        kind: layer
        for kind in ("points", "fields", "rough")
        if (layer := layers.find(session.viewer, image or "", kind)) is not None and layer.visible
    }
    found: dict[str, Any] = {"image": image, "version": session._seen}
    if points := seen.get("points"):
        serials = points.features["serial"].to_numpy(int).tolist()
        found["points"] = dict(zip(map(str, serials), points.data.tolist(), strict=True))
    if fields := seen.get("fields"):
        corners = [np.array(one) for one in fields.data]
        found["fields"] = [[*one.min(0).tolist(), *one.max(0).tolist()] for one in corners]
    if "rough" in seen and session.region() is not None:
        drawn = np.ascontiguousarray(seen["rough"].data, np.int32)
        found["rough"] = [list(session.region()), hashlib.sha256(drawn.tobytes()).hexdigest()]
    review = panel.docks["review"].review
    if session.view.step == "review" and review.queue is not None:
        decided = {item.id: item.state for item in review.queue.items}
        found["decided"] = {id: state for id, state in decided.items() if state != "unreviewed"}
    return found


def main(folder: Path, seed: int, first: int, log: Path) -> None:
    """Act until killed."""
    # before napari is imported, as in the walk
    os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(folder)
    from napari_noisyseg.benchmarks.faults.points import Log
    from napari_noisyseg.gui.wander.day import Day
    from napari_noisyseg.gui.wander.scene import build
    from napari_noisyseg.gui.wander.wandering import Wandering

    wandering, out = Wandering(build(folder, None), seed), Log(log)
    panel, day = wandering.panel, Day(wandering.hands)
    panel.session.changed.connect(lambda _: out.say("told", panel.session._seen))
    # whatever breaks here is told, and not collected as the window's
    sys.excepthook = sys.__excepthook__
    out.say("ready", os.getpid())
    for number in count(first):
        wandering.do(number, day.table(number))
        out.say("shown", json.dumps(shown(panel)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
