#!/usr/bin/env bash
# The documentation builds without warnings, private items included.
set -euo pipefail
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --document-private-items
