"""How many nuclei are to be judged, and what was decided: counted without reading one of them."""

from __future__ import annotations

from collections import Counter, defaultdict

from napari_noisyseg.store.context import Context
from napari_noisyseg.store.decisions import GONE

_NEWEST = "(SELECT image, run, found, max(seq) FROM adoption GROUP BY image)"
_FOUND = f"SELECT image, found FROM {_NEWEST}"
_GONE = f"""
SELECT c.image, count(*) FROM ({GONE}) g CROSS JOIN candidate c ON c.id = g.id
    JOIN {_NEWEST} r ON r.image = c.image AND r.run = c.run GROUP BY c.image
"""
_OUTLINES = "SELECT image, count(*) FROM outline GROUP BY image"
# half a million look-ups in the order of the ids are quick, in any other order they are not: where
# there are few outlines each is looked up, else the finds are gone through in their order
_FEW = f"""
SELECT r.image, count(*) FROM {_NEWEST} r CROSS JOIN outline o ON o.image = r.image
    CROSS JOIN candidate c ON c.image = r.image AND c.run = r.run AND c.id = o.id GROUP BY r.image
"""
_MANY = f"""
SELECT r.image, count(*) FROM {_NEWEST} r
    CROSS JOIN candidate c ON c.image = r.image AND c.run = r.run
    CROSS JOIN outline o ON o.id = c.id GROUP BY r.image
"""
MANY = 10
"""more finds than this for each outline: few outlines"""

_STATES = "SELECT image, state, count(*) FROM nucleus GROUP BY image, origin, state"
# a point may be rejected before anything gave it an outline: then there is nothing to judge.
# Nothing is accepted without an outline.
_BARE = f"""
SELECT n.image, n.state, count(*) FROM image i CROSS JOIN nucleus n ON n.image = i.id
    LEFT JOIN outline o ON o.id = n.id LEFT JOIN {_NEWEST} r ON r.image = n.image
WHERE n.state IN ('rejected', 'unsure') AND o.id IS NULL AND NOT EXISTS
    (SELECT 1 FROM candidate c WHERE c.image = n.image AND c.run = r.run AND c.id = n.id)
GROUP BY n.image, n.state
"""


def count(context: Context) -> dict[int, Counter[str]]:
    """Nuclei of `Nuclei.judged` by image (its number): `all`, and those of each decision."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for sql, sign in ((_FOUND, 1), (_GONE, -1), (_OUTLINES, 1), (_both(context), -1)):
        for image, number in context.database.rows(sql):
            counts[image]["all"] += sign * number
    for sql, sign in ((_STATES, 1), (_BARE, -1)):
        for image, state, number in context.database.rows(sql):
            counts[image][state] += sign * number
    return counts


def _both(context: Context) -> str:
    """The query for how many finds of the newest runs have an outline as well."""
    found, outlines = (sum(n for _, n in context.database.rows(s)) for s in (_FOUND, _OUTLINES))
    return _FEW if found > MANY * outlines else _MANY
