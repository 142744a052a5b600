"""Python modules of the user's, such as a scene: of the current directory, or installed.

No program of ours searches the current directory for its own imports, or a folder of pictures called `frames` would be
taken for the package. For a module that a person names it is searched, first.
"""

import importlib
import os
import sys
from types import ModuleType


def module_from_here(name: str) -> ModuleType:
    """Import it; raises ImportError. What it imports later is searched for in this directory, too."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)
