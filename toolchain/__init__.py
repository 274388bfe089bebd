"""clipfree: INT8 deployment of mobile super-resolution networks on Apache TVM."""

__version__ = "0.2.0"
