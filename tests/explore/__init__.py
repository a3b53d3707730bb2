"""Explorers: arithmetic against the package, and each of them as a reader meets it."""
