"""What people see: the panel and its four docks in napari. Only here are Qt and napari imported."""
