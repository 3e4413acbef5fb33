#!/usr/bin/env bash
# The README's first command, as a stranger types it.
set -euo pipefail
cargo xtask demo
