"""Embedded networks, the photographs they are tried with, and the trainer that made them."""
