"""Widgets that know nothing of nuclei."""
