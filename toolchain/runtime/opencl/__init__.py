"""Running a launch plan with pyopencl on an OpenCL device of this machine."""
