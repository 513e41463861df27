"""What is on napari's canvas: layers, their looks, and what is laid over the tissue."""
