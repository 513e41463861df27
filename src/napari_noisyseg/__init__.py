"""From cheap annotation of H&E slides to nuclei masks you can trust."""

__version__ = "0.1.0"
