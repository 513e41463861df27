"""`python -m napari_noisyseg` is `noisyseg`."""

import os
import sys

if __name__ == "__main__":
    # `-m` puts the current folder first, where a stranger's files may lie
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109
        del sys.path[0]

    from napari_noisyseg.cli import main

    main()
