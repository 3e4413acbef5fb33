#!/usr/bin/env bash
# Servers and clients that others wrote. What cannot be had on this machine is
# told as "not run"; what can be had must pass.
set -euo pipefail
cargo xtask interop
