"""Proofs, each a program: that what the report claims holds where the truth is known."""
