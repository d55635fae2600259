"""Chips with a spatial array: the best mapping of every layer, and what networks cost with it.

See `docs/cost_models/spatial.md` for the model, its mappings and how far they are the best.
"""
