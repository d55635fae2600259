"""Environments, one file each; see `archgym.environment`."""
