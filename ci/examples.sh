#!/usr/bin/env bash
# Every example of every crate runs to its end, on a service that it starts itself.
set -euo pipefail
for example in crates/*/examples/*.rs; do
  package=$(basename "$(dirname "$(dirname "$example")")")
  name=$(basename "$example" .rs)
  echo "--- $package: $name"
  cargo run --quiet --package "$package" --all-features --example "$name"
done
