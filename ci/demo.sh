#!/usr/bin/env bash
# The README's first command, as a stranger types it; and what that stranger is
# told when nothing listens: one line that names the URL, the step and a way on.
set -euo pipefail
cargo xtask demo
said=$(cargo run --quiet --package realtime-demo -- satori-rtm --url ws://127.0.0.1:1 --appkey K 2>&1) && {
  echo "the demo succeeds where nothing listens"
  exit 1
}
echo "$said"
[ "$(wc -l <<<"$said")" = 1 ]
grep -q "TCP connection to ws://127.0.0.1:1 failed.*check that the server runs" <<<"$said"
