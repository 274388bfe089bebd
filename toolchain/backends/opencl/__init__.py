"""OpenCL: kernels for phone GPUs, their launch plan, and a runner that executes both on any OpenCL device."""
