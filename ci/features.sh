#!/usr/bin/env bash
# Every crate builds with each of its feature choices, and the protocol cores
# build where there is no operating system; emitter's does not, for rumqttc.
set -euo pipefail
export RUSTFLAGS="-D warnings"
for package in ws-core realtime-client-core satori-rtm stream-sea cent emitter high-templar-client high-templar; do
  cargo check --quiet --package "$package" --no-default-features
  cargo check --quiet --package "$package"
done
for features in client blocking kv kv,tls cli kv,client blocking,kv,cli,ring,webpki-roots; do
  cargo check --quiet --package satori-rtm --no-default-features --features "${features//,/ }"
done
for features in driver own-runtime http http-blocking tls driver,tls http,tls http-blocking,tls; do
  cargo check --quiet --package realtime-client-core --no-default-features --features "${features//,/ }"
done
cargo check --quiet --package ws-core --no-default-features --features futures
for features in tls ring webpki-roots aws-lc-rs,platform-verifier ring,aws-lc-rs,webpki-roots,platform-verifier; do
  cargo check --quiet --package ws-core --package satori-rtm --no-default-features \
    --features "${features//,/ }"
  cargo check --quiet --package cent --no-default-features --features "${features//,/ }"
done
for features in blocking tokio tokio,ring,webpki-roots; do
  cargo check --quiet --package cent --no-default-features --features "${features//,/ }"
done
for features in client blocking jwt gzip,client schemars tls tls,client tls,blocking ring,webpki-roots,client,blocking; do
  cargo check --quiet --package stream-sea --no-default-features --features "${features//,/ }"
done
for features in client blocking tls tls,client ring,webpki-roots,client aws-lc-rs,platform-verifier,client; do
  cargo check --quiet --package emitter --no-default-features --features "${features//,/ }"
done
for features in client blocking tls tls,client tls,blocking ring,webpki-roots,client aws-lc-rs,platform-verifier,client; do
  cargo check --quiet --package high-templar-client --no-default-features --features "${features//,/ }"
done
for features in cli tls tracing; do
  cargo check --quiet --package high-templar --no-default-features --features "$features"
done
for features in cent emitter emitter,tls high-templar high-templar,tls satori-rtm stream-sea; do
  cargo check --quiet --package realtime-sandbox --no-default-features --features "$features"
done
# Nobody brings cryptography: an error, not a panic.
cargo test --quiet --package ws-core --no-default-features --features tls --test it t4_no_provider
echo "feature choices: all build"
target=wasm32-unknown-unknown
rustup target list --installed | grep -qx "$target" || rustup target add "$target"
cargo build --quiet --package ws-core --package satori-rtm --package stream-sea --package cent \
  --package high-templar-client \
  --no-default-features --target "$target"
echo "$target: the cores build"
