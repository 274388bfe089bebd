"""Schedules of kernels: what a tuning task is, the logs that hold what was found, and the choice for a build."""
