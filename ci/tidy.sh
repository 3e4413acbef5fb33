#!/usr/bin/env bash
# Lengths, layers, manifests, documents, budgets.
set -euo pipefail
cargo xtask tidy
