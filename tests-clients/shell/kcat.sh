#!/usr/bin/env bash
# kcat 1.7.1 (librdkafka 2.0.2 of 2023) as people use it. Topics come to be by themselves, with four partitions.
source "$(dirname "$0")/checks.sh"

k() { timeout 40 kcat -b "$BOOTSTRAP" -X log_level=3 "$@"; }
lines() { seq -f "$1 %g" "$2"; }
# What partition $2 of topic $1 holds, as format $3 prints it.
partition() { k -C -q -e -o beginning -t "$1" -p "$2" -f "$3"; }

metadata_of_the_cluster() {
  local found
  found=$(k -L -J)
  has "brokers" "\"brokers\":[{\"id\":0,\"name\":\"$BOOTSTRAP\"}]" "$found"
  has "controller" '"controllerid":' "$found"
}

a_topic_created_by_its_first_use() {
  local topic found
  topic=$(unique auto)
  echo one | k -P -t "$topic"
  found=$(k -L -J -t "$topic")
  has "topic" "\"topic\":\"$topic\",\"partitions\":[{\"partition\":0," "$found"
  same "partitions" 4 "$(grep -o '"partition":' <<<"$found" | wc -l)"
}

produce_and_consume() { # ACKS CODEC
  local topic
  topic=$(unique "plain-$1-$2")
  lines "${2}-line-${2}-line-${2}" 2000 >"$work/sent"
  k -P -t "$topic" -p 1 -X acks="$1" -z "$2" -l "$work/sent"
  # With acks=0 the records may still be under way.
  all_arrived() { [[ $(k -Q -t "$topic:1:-1") == "$topic [1] offset 2000" ]]; }
  eventually 10 all_arrived
  partition "$topic" 1 '%s\n' >"$work/read"
  cmp "$work/sent" "$work/read"
  same "offsets" "$(seq 0 1999)" "$(partition "$topic" 1 '%o\n')"
}

idempotent_producer() {
  local topic
  topic=$(unique idempotent)
  lines idempotent 20000 >"$work/sent"
  k -P -t "$topic" -p 2 -X enable.idempotence=true -l "$work/sent"
  partition "$topic" 2 '%s\n' | cmp "$work/sent" -
}

keys_headers_nulls_and_empties() {
  local topic
  topic=$(unique parts)
  printf 'key:value\n:no key\nonly key:\n:\n' | k -P -t "$topic" -p 0 -K: -Z -H trace=1 -H trace=two -H none
  same "records" "$(printf '%s\n' '3|5|key|value' '-1|6||no key' '8|-1|only key|' '-1|-1||')" \
    "$(partition "$topic" 0 '%K|%S|%k|%s\n')"
  same "headers" "$(yes 'trace=1,trace=two,none=NULL' | head -4)" "$(partition "$topic" 0 '%h\n')"
  # Without -Z nothing is null.
  printf ':\n' | k -P -t "$topic" -p 1 -K:
  same "empties" "0|0" "$(partition "$topic" 1 '%K|%S')"
}

value_of_900_kib() {
  local topic
  topic=$(unique large)
  head -c 921600 /dev/urandom >"$work/large"
  k -P -t "$topic" -p 0 "$work/large"
  partition "$topic" 0 '%s' | cmp "$work/large" -
}

message_too_large() {
  local topic
  topic=$(unique too-large)
  echo small | k -P -t "$topic" -p 0
  head -c 2000000 /dev/urandom >"$work/large"
  has "refusal" "Message size too large" "$(refused k -P -t "$topic" -p 0 -X message.max.bytes=8000000 "$work/large")"
  echo small | k -P -t "$topic" -p 0
  same "records" "$(printf '0 small\n1 small')" "$(partition "$topic" 0 '%o %s\n')"
}

offsets_absolute_relative_and_by_time() {
  local topic before
  topic=$(unique offsets)
  lines early 50 | k -P -t "$topic" -p 0
  sleep 0.05
  before=$(date +%s%3N)
  sleep 0.05
  lines late 30 | k -P -t "$topic" -p 0
  same "from 75" "$(lines late 30 | tail -5)" "$(k -C -q -e -t "$topic" -p 0 -o 75)"
  same "last 3" "$(lines late 30 | tail -3)" "$(k -C -q -e -t "$topic" -p 0 -o -3)"
  same "from a time" "$(lines late 30)" "$(k -C -q -e -t "$topic" -p 0 -o "s@$before")"
  same "up to a time" "$(lines early 50)" "$(k -C -q -e -t "$topic" -p 0 -o s@0 -o "e@$before")"
  same "offset of a time" "$topic [0] offset 50" "$(k -Q -t "$topic:0:$before")"
  same "end" "$topic [0] offset 80" "$(k -Q -t "$topic:0:-1")"
  same "start" "$topic [0] offset 0" "$(k -Q -t "$topic:0:-2")"
  same "first 5" "$(lines early 5)" "$(k -C -q -c 5 -t "$topic" -p 0 -o beginning)"
}

tail_waits_for_what_comes() {
  local topic reader
  topic=$(unique tail)
  echo before | k -P -t "$topic" -p 0
  k -C -q -u -c 2 -t "$topic" -p 0 -o end >"$work/tailed" &
  reader=$!
  sleep 2
  printf 'one\ntwo\n' | k -P -t "$topic" -p 0
  wait $reader
  same "tail" "$(printf 'one\ntwo')" "$(cat "$work/tailed")"
}

balanced_group_commits_and_goes_on() {
  local topic group
  topic=$(unique group)
  group=$(unique group)
  for p in 0 1 2 3; do lines "p$p" 25 | k -P -t "$topic" -p $p; done
  k -G "$group" -q -e -X auto.offset.reset=earliest "$topic" | sort >"$work/read"
  for p in 0 1 2 3; do lines "p$p" 25; done | sort | cmp - "$work/read"
  kill_and_restart_broker
  eventually 20 k -L -t "$topic" >/dev/null
  lines more 10 | k -P -t "$topic" -p 3
  same "after the commit" "$(lines more 10)" "$(k -G "$group" -q -e -X auto.offset.reset=earliest "$topic")"
}

two_members_share() {
  local topic group one two
  topic=$(unique share)
  group=$(unique share)
  for p in 0 1 2 3; do lines "p$p" 1 | k -P -t "$topic" -p $p; done
  k -G "$group" -u -X auto.offset.reset=earliest -f '%p %s\n' "$topic" >"$work/one" 2>"$work/one.said" &
  one=$!
  k -G "$group" -u -X auto.offset.reset=earliest -f '%p %s\n' "$topic" >"$work/two" 2>"$work/two.said" &
  two=$!
  both_have_two() {
    [[ $(tail -n 1 "$work/one.said" | grep -o "$topic \[" | wc -l) == 2 &&
       $(tail -n 1 "$work/two.said" | grep -o "$topic \[" | wc -l) == 2 ]]
  }
  eventually 30 both_have_two
  for p in 0 1 2 3; do lines "new$p" 5 | k -P -t "$topic" -p $p; done
  twenty_arrived() { (($(cat "$work/one" "$work/two" | grep -c new) >= 20)); }
  eventually 20 twenty_arrived
  kill $one $two
  wait $one $two || true
  same "read by both" "$(for p in 0 1 2 3; do lines "$p new$p" 5; done | sort)" \
    "$(cat "$work/one" "$work/two" | grep new | sort)"
  same "partitions of the first" 2 "$(grep new "$work/one" | cut -d' ' -f1 | sort -u | wc -l)"
}

errors_are_told() {
  has "unknown topic" "Unknown topic or partition" "$(refused k -C -e -t "$(unique never-created)" -p 0 -X allow.auto.create.topics=false)"
  local topic
  topic=$(unique errors)
  echo one | k -P -t "$topic" -p 0
  has "unknown partition" "partition 99 does not exist" "$(refused k -C -e -t "$topic" -p 99)"
  has "offset out of range" "Offset out of range" "$(refused k -C -e -t "$topic" -p 0 -o 1000 -X topic.auto.offset.reset=error)"
}

check "metadata of the cluster" metadata_of_the_cluster
check "a topic created by its first use" a_topic_created_by_its_first_use
for acks in 0 1 all; do check "produce and consume, acks=$acks" produce_and_consume $acks none; done
for codec in gzip snappy lz4 zstd; do check "produce and consume, $codec" produce_and_consume all $codec; done
check "idempotent producer" idempotent_producer
check "keys, headers, nulls and empties" keys_headers_nulls_and_empties
check "value of 900 KiB" value_of_900_kib
check "message too large is refused" message_too_large
check "offsets: absolute, relative, by time" offsets_absolute_relative_and_by_time
check "a tail waits for what comes" tail_waits_for_what_comes
check "a group's commits survive SIGKILL" balanced_group_commits_and_goes_on
check "two members share the partitions" two_members_share
check "errors are told" errors_are_told
all_done
