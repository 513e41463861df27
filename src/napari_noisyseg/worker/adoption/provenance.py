"""Where one nucleus comes from: pixels, annotation, run, settings, weights, and who decided."""

from __future__ import annotations

import hashlib
import json
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from napari_noisyseg import bounded_json, regular_file
from napari_noisyseg.coarse.readers import file_of
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE
from napari_noisyseg.data.regions import INDEX, SNAPSHOT
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Way
from napari_noisyseg.worker.adoption.adopt import REFINED
from napari_noisyseg.worker.adoption.found import CLICKS

MODEL, SETTINGS = "model.safetensors", "settings.json"
BLOCK = 1 << 20


def of_nucleus(project: Project, which: str) -> dict[str, Any]:
    """Everything that led to a nucleus, by its serial or its id, in plain values.

    What cannot be read any more (a run's folder that is gone) is None. NoisySegError where there is
    no such nucleus.
    """
    image, id = project.nuclei.find(which)
    record = project.image(image)
    found = next(iter(project.nuclei.judged(image, ids=[id])), None)
    marked = next(iter(project.nuclei.of(image, every=True, ids=[id])), None)
    run = project.nuclei.run_of(id)
    return {
        "nucleus": {
            "id": id,
            "serial": found.serial if found else marked.serial if marked else None,
            "x": round(marked.x if marked else found.x if found else 0.0, 2),
            "y": round(marked.y if marked else found.y if found else 0.0, 2),
            "origin": marked.origin if marked else "candidate",
            "class": marked.class_name if marked else None,
            "state": marked.state if marked else "unreviewed",
            **_outline(found),
        },
        "image": {
            "name": record.name, "sha256": record.sha, "mpp": record.mpp,
            "mpp_assumed": record.mpp_assumed, "link": str(record.link) if record.link else None,
        },
        "annotation_version": project.nuclei.version(),
        "run": None if run is None else _run(project, image, run),
        "decisions": _decisions(project, image, id),
        "history": [
            {"time": _when(at), "what": words} for at, words in project.nuclei.history_of(id)
        ],
    }  # fmt: skip


def _outline(found: Candidate | None) -> dict[str, Any]:
    if found is None:
        return {"area_um2": None, "confidence": None, "reason": None, "frozen": False}
    return {
        "area_um2": round(found.area_um2, 2),
        "confidence": round(found.score, 4) if found.run else None,
        "reason": found.reason,
        "frozen": found.frozen,
    }


def _run(project: Project, image: str, name: str) -> dict[str, Any]:
    if name == CLICKS:
        return _clicks(project, image)
    row: dict[str, Any] = {
        "id": name, "method": None, "seed": None, "config": None, "config_sha256": None,
        "annotation_version": None, "weights_sha256": None, "first_weights_sha256": None,
    }  # fmt: skip
    try:
        run = project.runs.get(name)
        spec = run.spec()
    except NoisySegError:
        return row
    row |= {"method": spec.get("method"), "seed": spec.get("seed"), "init": spec.get("init")}
    config = _json(run.dir / SETTINGS)
    row["annotation_version"] = (_json(run.dir / SNAPSHOT / INDEX) or {}).get("version")
    row |= {"config": config, "config_sha256": None if config is None else _digest_of(config)}
    row |= {"weights": MODEL, "weights_sha256": digest(run.dir / MODEL)}
    taught = {n: digest(run.dir / SNAPSHOT / file_of(n)) for n in (CENTRES, OUTLINE)}
    row["learned_sha256"] = {name: sha for name, sha in taught.items() if sha}
    return row | {"first_weights_sha256": _first_weights(run.dir / MODEL)}


def _first_weights(path: Path) -> str | None:
    """Digest of the weights that came with the package and that a model's networks began with."""
    from safetensors import SafetensorError, safe_open

    try:
        regular_file.check(path)
        with safe_open(path, framework="numpy") as opened:
            header = opened.metadata() or {}
        made = bounded_json.record(bounded_json.parse(header["provenance"], str(path)), str(path))
    except (OSError, SafetensorError, NoisySegError, *bounded_json.WRONG):
        return None
    found = made.get("first_weights")
    return found if isinstance(found, str) else None


def _clicks(project: Project, image: str) -> dict[str, Any]:
    """The outlines at clicks: of the starter's network, or of what it learned in this project."""
    learned = project.learned.of(OUTLINE)
    shipped = Path(str(files("napari_noisyseg") / "models" / f"{OUTLINE}.safetensors"))
    path = shipped if learned is None else learned.path
    source = project.labels.source(image, REFINED)
    return {
        "id": CLICKS, "method": "outline", "seed": None, "config": None, "config_sha256": None,
        "annotation_version": source.get("annotation_version"),
        "weights": path.name, "weights_sha256": digest(path),
        "learned": dict(learned.about) if learned else None,
    }  # fmt: skip


def _decisions(project: Project, image: str, id: str) -> list[dict[str, Any]]:
    ways: tuple[Way, ...] = ("queue", "audit", "bulk", "blind")
    return [
        {
            "reviewer": v.reviewer, "state": v.state, "way": v.way, "run": v.run,
            "time": _when(v.time), "ms": v.ms, "agreed": v.agreed,
        }
        for v in project.nuclei.verdicts(image, ways)
        if v.id == id
    ]  # fmt: skip


def digest(path: Path) -> str | None:
    """SHA-256 of a file in hexadecimal digits; None where it cannot be read."""
    made = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(BLOCK):
                made.update(part)
    except OSError:
        return None
    return made.hexdigest()


def _digest_of(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
