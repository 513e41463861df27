"""One file per paper: `methods/x_y.py` is method `x-y`, its class bound to the name METHOD.

Nothing is listed anywhere: the registry finds the files by name.
"""
