"""Faults on purpose: killed programs, power cuts and strangers' files."""
