"""Deployment: the whole line from an ONNX model and photographs to verified bundles.

`request` says what is asked for, `order` what of it depends on the target, `together` what becomes of several;
`prepare` quantizes, with `kept` for what was made before, `judge` measures the loss; `pipeline` compiles, verifies and
writes, `files` makes what a bundle holds, `progress` tells what happens.
"""

from toolchain.workflows.deploy.pipeline import Deployment, deploy, deploy_together
from toolchain.workflows.deploy.progress import STEPS, Event
from toolchain.workflows.deploy.request import Request, bundle_path
from toolchain.workflows.deploy.together import Failed

__all__ = ["STEPS", "Deployment", "Event", "Failed", "Request", "bundle_path", "deploy", "deploy_together"]
