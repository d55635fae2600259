"""Conformance kits for implementers of agents, cost models and environments."""
