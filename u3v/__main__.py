"""`python -m u3v` is the command `u3v`.

The core imports nothing of `gadget`, which owns the command line. It only hands the name on, as a shell would:
who runs this module has installed both.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("gadget", run_name="__main__", alter_sys=True)
