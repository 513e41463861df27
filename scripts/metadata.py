"""What the package's page says that only the place of its repository tells: links, and pictures.

`NOISYSEG_REPOSITORY` (https://…, set by the release workflow) is that place and `NOISYSEG_REF` the
tag; without them the README's links stay as they are, which work in a checkout alone.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PYPI = "https://pypi.org/project/napari-noisyseg/"
HUB = "https://napari-hub.org/plugins/napari-noisyseg.html"


class Page(MetadataHookInterface):
    """The README and the project's addresses."""

    PLUGIN_NAME = "page"

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in both."""
        text = Path(self.root, "README.md").read_text("utf-8")
        urls = {"Homepage": PYPI, "napari hub": HUB}
        place, ref = (os.environ.get(f"NOISYSEG_{key}", "") for key in ("REPOSITORY", "REF"))
        if place:
            ref = ref or "main"
            text = absolute(text, place, ref)
            urls |= {
                "Source": place,
                "Issues": f"{place}/issues",
                "Documentation": f"{place}/blob/{ref}/docs/index.md",
                "Changelog": f"{place}/blob/{ref}/CHANGELOG.md",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls


def absolute(text: str, place: str, ref: str) -> str:
    """Markdown whose links to files and pictures of the repository lead there from anywhere."""

    def led(found: re.Match[str]) -> str:
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['words']}]({place}/{kind}/{ref}/{found['path']})"

    link = r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?!https?:|#|mailto:)(?P<path>[^)\s]+)\)"
    return re.sub(link, led, text)
