#!/usr/bin/env bash
# Each package builds from its archive, as crates.io would have it.
set -euo pipefail
cargo xtask package
