"""Bundled experiment files, run by name: `archgym run quickstart`."""
