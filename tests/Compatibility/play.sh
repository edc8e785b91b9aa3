#!/usr/bin/env bash
# Plays the recordings of a real OpenWhisk against the built server: one with raised rates, and one with the stock rates for
# the few recordings that are about them. With ALL=1 also the long ones. CONFIGURATION=checked plays them against the server that asserts.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
PROGRAM="$ROOT/artifacts/bin/Server/${CONFIGURATION:-release}/frusta.dll"
GUEST=23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP
OTHER=4b6e2f7e-1c39-4d0c-9a55-2f1f1f0a7c11:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab
WORK=$(mktemp -d)
AREAS=(rest-actions rest-activations rest-annotations-params rest-entitlement rest-limits-validation rest-lists-paging
  rest-names-auth-transport rest-packages rest-triggers-rules exec-actions-node exec-actions-python exec-activations-logs
  exec-limits-timeouts-errors exec-params-merge exec-triggers)

trap 'rm -rf "$WORK"' EXIT

# start NAME [FLAGS]: starts a server on a free port, waits until it answers, sets HOST and SERVER.
start() {
  local name=$1 port; shift
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  FRUSTA_Subjects__secondnamespace="$OTHER" dotnet "$PROGRAM" standalone --port "$port" --data-dir "$WORK/$name" "$@" >"$WORK/$name.log" 2>&1 &
  SERVER=$!
  HOST="http://127.0.0.1:$port"
  for _ in $(seq 300); do
    python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/ping", timeout=1)' "$HOST" 2>/dev/null && return 0
    kill -0 "$SERVER" 2>/dev/null || break
  done
  echo "the server did not start:"; cat "$WORK/$name.log"; echo "0 passed, 1 failed"; return 1
}

# play_on NAME FILE "FLAGS" [ARGS]: plays one file on a server of its own, which nobody else fills or empties meanwhile.
play_on() {
  local name=$1 file=$2 flags=$3 status; shift 3
  # shellcheck disable=SC2086 -- the flags are words
  start "$name" $flags || return 1
  python3 "$HERE/replay.py" --host "$HOST" --auth "$GUEST" --name AUTH2="$OTHER" --name NS2=secondnamespace --name EMPTY2=1 \
    --name STOCK_MANIFEST=1 --name LOGSTORE=1 "$@" "$file" >"$WORK/$name.out" 2>&1
  status=$?
  kill "$SERVER"; wait "$SERVER" 2>/dev/null
  { echo "-- $name"; cat "$WORK/$name.out"; [ $status -eq 0 ] || tail -n 20 "$WORK/$name.log" | sed 's/^/   log: /'; }
  return $status
}

files=(); for area in "${AREAS[@]}"; do files+=("$HERE/$area.json"); done
[ $# -gt 0 ] && files=("$@")
ARGUMENTS=(--except "$ROOT/docs/reference/differences.md")
[ "$(id -u)" = 0 ] && ARGUMENTS+=(--name MEMLIMIT=1 --name ULIMITS=1)
[ "${ALL:-0}" = 1 ] && ARGUMENTS+=(--name LONG=1)
RAISED="--Limits:InvocationsPerMinute=1000000 --Limits:FiresPerMinute=1000000 --Limits:ConcurrentInvocations=1000"

# the recordings about the stock rates, taken out into a file of their own: nothing else may use up the rates meanwhile
python3 - "$WORK/stock-limits.json" "${files[@]}" <<'PYTHON'
import json, sys
chosen = []
for file in sys.argv[2:]:
    with open(file) as source:
        chosen += [scenario for scenario in json.load(source)["scenarios"] if "STOCK_LIMITS" in scenario.get("needs", [])]
with open(sys.argv[1], "w") as target:
    json.dump({"area": "stock limits", "scenarios": chosen}, target)
PYTHON

# Scenarios wait for what comes later, such as records in a list; so several files are played at a time.
status=0 PLAYS=()
settle() { local play; for play in "${PLAYS[@]}"; do wait "$play" || status=1; done; PLAYS=(); }
play_on stock "$WORK/stock-limits.json" "" --name STOCK_LIMITS=1 "${ARGUMENTS[@]}" & PLAYS+=($!)
for file in "${files[@]}"; do
  play_on "$(basename "$file" .json)" "$file" "$RAISED" "${ARGUMENTS[@]}" & PLAYS+=($!)
  while [ "$(jobs -rp | wc -l)" -ge 4 ]; do wait -n || true; done
done
settle
exit $status
