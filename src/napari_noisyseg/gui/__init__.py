"""What people see: the panel and its four docks in napari. Only here are Qt and napari imported."""

from napari_noisyseg.gui.fit import check

# napari shows what an import says; from deeper down it would be a traceback
check()
