# Sourced by the suites of command line tools: one line a check, as ../harness/results.py reads them.
# Every check is a function that runs in a subshell with `set -e`; its name is the text after `check`.

set -uo pipefail
export LC_ALL=C
run_id=$$
failed=0
work="$HOME_DIR/files"
mkdir -p "$work"
check_seconds_max=90

# A topic or group of this run only.
unique() { echo "$1-$run_id"; }

check() { # NAME FUNCTION [ARGUMENT..]
  local name=$1 pattern
  shift
  local IFS=,
  for pattern in ${NOT_RUN:-}; do
    # shellcheck disable=SC2254 # It is a pattern on purpose.
    case $name in $pattern) echo "ok - $name # SKIP left out by the table"; return ;; esac
  done
  unset IFS
  # `set -e` means nothing inside of a condition: hence a process of its own.
  (set -e; "$@") >"$work/check.out" 2>&1 &
  local process=$! code=0 began=$SECONDS
  (sleep $check_seconds_max; kill "$process" 2>/dev/null) >/dev/null 2>&1 &
  local watch=$!
  wait $process || code=$?
  kill $watch 2>/dev/null
  wait $watch 2>/dev/null
  ((SECONDS - began < 5)) || echo "# $name: $((SECONDS - began)) s"
  if ((code == 0)); then
    echo "ok - $name"
  else
    sed 's/^/# /' "$work/check.out"
    echo "not ok - $name: exit $code: $(tail -n 3 "$work/check.out" | tr '\n' ' ' | tail -c 300)"
    failed=1
  fi
}

all_done() {
  echo "all checks done"
  exit $failed
}

same() { # WHAT WANTED FOUND
  [[ $2 == "$3" ]] || { echo "$1: wanted $(head -c 300 <<<"$2"), found $(head -c 300 <<<"$3")"; return 1; }
}

has() { # WHAT PART TEXT
  [[ $3 == *"$2"* ]] || { echo "$1: no '$2' in: $(tail -c 600 <<<"$3")"; return 1; }
}

# Runs a command that must fail and prints what it said.
refused() {
  local said code=0
  said=$("$@" 2>&1) || code=$?
  echo "$said"
  ((code != 0)) || { echo "it succeeds, but should not: $*"; return 1; }
}

eventually() { # SECONDS COMMAND..
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || { echo "not in time: $*"; return 1; }
    sleep 0.2
  done
}

kill_and_restart_broker() { curl -sS --fail -X POST "$CONTROL/kill-and-restart"; }
