"""From a kernel's TensorIR function to OpenCL C, with TVM's code generator: no OpenCL driver is needed for that."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import tvm
import tvm.tirx.build
from tvm import tirx

_BUILD = sys.modules["tvm.tirx.build"]  # the attribute tvm.tirx.build is a function


@dataclass(frozen=True)
class KernelSource:
    """A kernel in OpenCL C: its name, the code without the prelude, and the names of its arguments in order."""

    name: str
    code: str
    arguments: tuple[str, ...]


def generate(name: str, function: tirx.PrimFunc) -> KernelSource:
    """OpenCL C of a function whose threads are bound; the kernel is called ``name``."""
    target = tvm.target.Target({"kind": "opencl"}, host=tvm.target.Target("llvm"))
    module = tirx.transform.BindTarget(target)(tvm.IRModule({name: function.with_attr("global_symbol", name)}))
    passes, _, finish = tirx.get_default_tir_pipeline(target)
    # Common subexpressions are left to the driver's compiler: TVM's names for them hide what is computed.
    with tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}):
        _, devices = _BUILD.split_host_device_mods(passes(module))
    ((kind, kernels),) = devices.items()
    kernels = finish()(kernels)
    ((_, kernel),) = kernels.functions.items()
    symbol = str(kernel.attrs["global_symbol"])
    text: Any = _BUILD.codegen_build(kernels, kind).inspect_source()
    # TVM heads the code with a comment and repeats the prototype.
    code = "__kernel void " + text.split("__kernel void ")[-1].strip() + "\n"
    arguments = tuple(str(parameter.name).removesuffix("_ptr") for parameter in kernel.params)
    return KernelSource(name, code.replace(symbol, name).replace("_ptr", ""), arguments)
