#!/usr/bin/env bash
# Everything that must pass, in one command: style, types, tests with coverage.
# Tests that need Node.js or Chromium say so and are skipped where those are missing; with CI=true they may not be.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
if command -v npm >/dev/null; then
  npm ci --prefix tests/e2e/js --no-audit --no-fund --loglevel=error
fi

.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/python -m pytest -n auto --dist loadfile --cov --cov-report=term:skip-covered "$@"
