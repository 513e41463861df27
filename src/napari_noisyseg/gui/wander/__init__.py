"""A seeded random walk of real events through the real window, and whether all of it agrees."""
