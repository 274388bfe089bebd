"""Deployment: the whole line from an ONNX model and photographs to verified bundles.

`request` says what is asked for, `target_build` what of it depends on the target, `batch` what becomes of several;
`prepare` quantizes, or takes what `network_cache` has, `judge` measures the loss; `pipeline` compiles, verifies and
writes, `files` makes what a bundle holds, `progress` tells what happens.
"""

from toolchain.workflows.deploy.batch import Failed
from toolchain.workflows.deploy.pipeline import Deployment, deploy, deploy_batch
from toolchain.workflows.deploy.progress import STEPS, Event
from toolchain.workflows.deploy.request import Request, bundle_path

__all__ = ["STEPS", "Deployment", "Event", "Failed", "Request", "bundle_path", "deploy", "deploy_batch"]
