"""Figures about a deployment: picture quality, size and work of a network, and what a report holds."""
