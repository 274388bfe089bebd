"""Deployment: the whole line from an ONNX model and photographs to a verified bundle.

`request` says what is asked for, `prepare` quantizes, `line` compiles, verifies and writes, `content` makes the
bundle's files, `progress` tells what happens.
"""

from toolchain.workflows.deploy.pipeline import Deployment, deploy
from toolchain.workflows.deploy.progress import STEPS, Event
from toolchain.workflows.deploy.request import Request, bundle_path

__all__ = ["STEPS", "Deployment", "Event", "Request", "bundle_path", "deploy"]
