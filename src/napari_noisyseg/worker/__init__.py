"""The process boundary: a run is described, frozen, and trained in a child of its own."""
