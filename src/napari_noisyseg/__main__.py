"""`python -m napari_noisyseg` is `noisyseg`."""

from napari_noisyseg.cli import main

if __name__ == "__main__":
    main()
