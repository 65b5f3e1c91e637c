"""The client code that the playground shows, run as it stands against a real relay."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import KEY, require, running_relay, self_signed

pytestmark = [pytest.mark.e2e, pytest.mark.node]

ROOT = Path(__file__).parents[3]
MODULES = ROOT / "tests" / "e2e" / "js" / "node_modules"
RUN_S = 60.0

PRINT = """
import { snippet } from "%s";
const screen = { model: "local/agent", voice: "", instructions: "Be brief.", push: false, threshold: 0.6,
  silenceMs: 400, prefixMs: 200, tools: [] };
process.stdout.write(snippet(process.argv[1], { ...screen, origin: process.argv[2] }));
"""


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_relay(tmp_path_factory.mktemp("relay"), "", []) as url:
        yield url


@pytest.fixture(scope="module")
def node() -> str:
    require(shutil.which("node"), "Node.js")
    require((MODULES / "openai").is_dir(), "tests/e2e/js/node_modules (npm ci --prefix tests/e2e/js)")
    return shutil.which("node") or ""


def printed(node: str, client: str, origin: str) -> str:
    """The snippet for one client."""
    script = PRINT % (ROOT / "relay" / "web" / "snippets.js")
    return subprocess.run([node, "--input-type=module", "-e", script, client, origin], check=True,
                          capture_output=True, text=True, timeout=RUN_S).stdout


def output(command: list[str], folder: Path, **environment: str) -> str:
    """What the command prints; the key is where the snippets look for it."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_S, check=False,
                          env={**os.environ, "RELAY_API_KEY": KEY, **environment})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def run_in_node(node: str, code: str, folder: Path, **environment: str) -> str:
    (folder / "node_modules").symlink_to(MODULES)
    (folder / "client.mjs").write_text(code)
    # Node.js before 22 has WebSocket behind a flag, which later versions accept.
    return output([node, "--no-warnings", "--experimental-websocket", "client.mjs"], folder, **environment)


def test_the_openai_python_snippet_prints_an_answer(relay: str, node: str, tmp_path: Path) -> None:
    assert output([sys.executable, "-c", printed(node, "openai-python", relay)], tmp_path)


def test_the_ai_sdk_node_snippet_prints_an_answer(relay: str, node: str, tmp_path: Path) -> None:
    assert run_in_node(node, printed(node, "ai-node", relay), tmp_path)


def test_the_openai_js_snippet_prints_an_answer_over_tls(node: str, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with running_relay(tmp_path, "", ["--tls-cert", str(certificate), "--tls-key", str(key)]) as url:
        code = printed(node, "openai-js", url)
        assert run_in_node(node, code, tmp_path, NODE_EXTRA_CA_CERTS=str(certificate))


def test_the_curl_snippet_mints_a_token_of_each_kind(relay: str, node: str, tmp_path: Path) -> None:
    require(shutil.which("curl"), "curl")
    minted = output(["sh", "-c", printed(node, "curl", relay)], tmp_path)
    assert '"token":"vcst_' in minted
    assert '"value":"ek_' in minted
