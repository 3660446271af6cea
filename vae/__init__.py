"""Phase fields and the variational autoencoder that ranks them."""

from vae.phase_fields import ANIONS, PhaseField, enumerate_candidates

__all__ = ["ANIONS", "PhaseField", "enumerate_candidates"]
