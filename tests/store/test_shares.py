r"""Slides on network shares (\\HOST\SHARE): a stranger's project makes nobody ask one."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project, shares

SHARE = r"\\evil\share"


@pytest.fixture(autouse=True)
def on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "WINDOWS", True)
    monkeypatch.setattr(shares, "_file", lambda: tmp_path / "config" / shares.NAME)


@pytest.mark.parametrize(
    ("path", "share"),
    [
        (SHARE + r"\a.svs", SHARE),
        ("//Evil/Share/a.svs", SHARE),
        (r"\\?\UNC\evil\share\a.svs", r"\\?\unc\evil\share"),
        (r"C:\a.svs", None),
        ("/a/b.svs", None),
        (r"\a.svs", None),
    ],
)
def test_what_is_a_share(path: str, share: str | None) -> None:
    assert shares.share_of(path) == share


def test_other_systems_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "WINDOWS", False)
    assert shares.is_free(SHARE + r"\a.svs", Path("/x"))


def test_a_share_is_free_once_a_person_named_it(tmp_path: Path) -> None:
    slide = SHARE + r"\a.svs"
    assert not shares.is_free(slide, tmp_path)
    shares.name(Path(slide))
    shares.name(Path(slide))
    assert shares.is_free(SHARE.upper() + r"\b.svs", tmp_path)
    assert not shares.is_free(r"\\other\share\a.svs", tmp_path)
    assert shares.is_free(r"\\other\share\a.svs", Path(r"\\other\share\a.noisyseg"))
    shares._file().write_text("{")
    assert not shares.is_free(slide, tmp_path)


def test_the_slide_of_a_strangers_project_is_not_asked_for(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.tif"
    with Project.create(tmp_path / "a.noisyseg") as project:
        name = project.add_image(slide).name
        with project._database.transaction():
            project._database.run(
                "UPDATE link SET path = ?, relative = ?", (SHARE + r"\a.tif", SHARE + r"\b.tif")
            )
        asked: list[str] = []
        seen = Path.stat

        def stat(self: Path, **options: bool) -> object:
            asked.append(str(self))
            return seen(self, **options)

        monkeypatch.setattr(Path, "stat", stat)
        with pytest.raises(NoisySegError, match=r"network share .*evil.*link the slide again"):
            project.pixels(name)
        # on this system a share's path is a mere name in the current folder, never looked for
        assert not [path for path in asked if path.startswith("\\\\")]
        monkeypatch.undo()
        project.relink(name, slide)
        project.pixels(name).close()
