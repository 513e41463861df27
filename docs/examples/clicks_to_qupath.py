# %% [markdown]
# # From an image and points to reviewed nuclei for QuPath
#
# Each part is a cell, in VS Code, Spyder or Jupyter (by jupytext); the whole is a script as well:
# `python clicks_to_qupath.py`. It needs no torch, no GPU and no window.

# %%
import csv
import tempfile
from pathlib import Path

import napari_noisyseg as ns
from napari_noisyseg import samples

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# A field of breast tissue at 0.25 µm per pixel, and a point in each nucleus. Take your own image
# here; points are (y, x) in pixels, as napari's Points layers have them.

# %%
image = samples.FIELD
with samples.FIELD_POINTS.open() as file:
    points = [(float(row["y"]), float(row["x"])) for row in csv.DictReader(file)]

# %% [markdown]
# One call outlines the nucleus at each point: `labels[y, x]` is k + 1 in the nucleus of
# `points[k]`.

# %%
labels = ns.outline(image, points, mpp=0.25)
print(f"{labels.max()} outlines, {(labels > 0).mean():.0%} of the pixels")

# %% [markdown]
# With a project decisions are kept, can be undone, and can teach. This is the whole way:

# %%
with ns.Project.create(folder / "case.noisyseg") as project:
    field = project.add_image(image, mpp=0.25)
    project.nuclei.add_many(field.name, points)
    review = ns.Review(project, reviewer="me")
    for nucleus in review.next(5):
        rgb, mask, _ = review.picture(nucleus)
        print(f"{nucleus.candidate.serial}: {nucleus.reason}, {mask.sum()} pixels")
        review.accept(nucleus)
    review.accept_above(0.8)
    print(review.progress.words())
    written = ns.export(project, folder / "for QuPath", "geojson", layer="accepted")
print(written[0].name)

# %% [markdown]
# How right is it? This field's true nuclei come with the package.

# %%
truth = ns.samples.true_nuclei()
scores = ns.metrics.evaluate(labels, truth)
print(f"AJI {scores['aji']:.3f}, PQ {scores['pq']:.3f}, Dice {scores['dice']:.3f}")

# %% [markdown]
# An image in which nobody has clicked:

# %%
found = ns.predict(image, "starter", mpp=0.25)
print(f"{found.max()} nuclei found, AJI {ns.metrics.aji(found, truth):.3f}")
