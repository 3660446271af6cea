"""Figures, tables and the page of a campaign, made from its records alone."""
