"""Probe structures, levels of theory, calculations and convex hulls."""
