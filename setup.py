# SPDX-License-Identifier: LGPL-2.1-or-later
"""The C extension; everything else about the package is in setup.cfg."""

from glob import glob

from setuptools import Extension, setup

LIMITED_API = "0x030b0000"  # CPython 3.11, the first whose stable ABI has Py_buffer

setup(
    ext_modules=[
        Extension(
            "spicemig._kernels",
            sources=sorted(glob("spicemig/_kernels/*.c")),
            depends=sorted(glob("spicemig/_kernels/*.h")),
            define_macros=[("Py_LIMITED_API", LIMITED_API)],
            extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra"],
            libraries=["m"],
            py_limited_api=True,
            optional=True,  # without it the twins in devices/raster/reference.py do the work, slowly
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
