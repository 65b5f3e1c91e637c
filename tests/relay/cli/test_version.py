"""`relay version`, in a process of its own."""

import subprocess
import sys

from relay import __version__

PROGRAM = """
import sys
from relay.cli.main import main
try:
    main(["version"])
finally:
    print([name for name in ("aiohttp", "numpy", "onnxruntime", "mcp") if name in sys.modules])
"""


def test_version_is_printed_without_loading_a_server():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"relay {__version__}", "[]"]
