"""Several machines: a run, or the tiles of a slide, on the workers of a Dask scheduler.

A scheduler and its workers are trusted code, as Dask unpickles what they send. What they give back
of a run is still checked like a stranger's folder.
"""
