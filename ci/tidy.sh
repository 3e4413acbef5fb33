#!/usr/bin/env bash
# Lengths, layers, manifests, documents, advisories, budgets.
set -euo pipefail
cargo xtask tidy
