#!/usr/bin/env bash
# Kafka's own command line tools, as its documentation shows them. Every call is a JVM of its own: a check does much.
# $1 is the folder of their jars.
source "$(dirname "$0")/checks.sh"
jars=$1
tools=org.apache.kafka.tools
log4j=$(cd "$(dirname "$0")/../java" && pwd)/log4j2.properties

# Half of a call's time is loading classes: the first of each tool leaves them in an archive beside the jars.
archives=$jars/archives
mkdir -p "$archives"

java_tool() { # CLASS ARGUMENT..
  local archive=$archives/$1.jsa code=0
  local shared=(-XX:SharedArchiveFile="$archive")
  [[ -f $archive ]] || shared=(-XX:ArchiveClassesAtExit="$archive.$BASHPID")
  timeout 80 java -Xmx256m -Xlog:disable -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${shared[@]}" \
    "-Dlog4j2.configurationFile=$log4j" -cp "$jars/*" "$@" || code=$?
  [[ ! -f $archive.$BASHPID ]] || mv "$archive.$BASHPID" "$archive"
  return $code
}
with_server() { # CLASS ARGUMENT..
  local class=$1
  shift
  java_tool "$class" --bootstrap-server "$BOOTSTRAP" "$@"
}
kafka-topics() { with_server $tools.TopicCommand "$@"; }
kafka-console-producer() { with_server $tools.ConsoleProducer "$@"; }
kafka-console-consumer() { with_server $tools.consumer.ConsoleConsumer "$@"; }
kafka-consumer-groups() { with_server $tools.consumer.group.ConsumerGroupCommand "$@"; }
kafka-groups() { with_server $tools.GroupsCommand "$@"; }
kafka-configs() { with_server kafka.admin.ConfigCommand "$@"; }
kafka-get-offsets() { with_server $tools.GetOffsetShell "$@"; }
kafka-delete-records() { with_server $tools.DeleteRecordsCommand "$@"; }
kafka-dump-log() { java_tool $tools.DumpLogSegments "$@"; }

topic=$(unique tools)
group=$(unique tools)

topics_create_describe_list() {
  has "created" "Created topic $topic." "$(kafka-topics --create --topic "$topic" --partitions 3 --replication-factor 1 \
    --config retention.ms=3600000)"
  local found
  found=$(kafka-topics --describe --topic "$topic")
  has "description" "PartitionCount: 3" "$found"
  has "description" "ReplicationFactor: 1" "$found"
  has "description" "retention.ms=3600000" "$found"
  has "partition" "Partition: 2	Leader: 0	Replicas: 0	Isr: 0" "$found"
  has "list" "$topic" "$(kafka-topics --list)"
  has "again" "already exists" "$(refused kafka-topics --create --topic "$topic")"
  has "bad name" "InvalidTopicException" "$(refused kafka-topics --create --topic 'not/a/name')"
}

topics_alter_delete() {
  local short
  short=$(unique short-lived)
  kafka-topics --create --topic "$short" --partitions 1 >/dev/null
  kafka-topics --alter --topic "$short" --partitions 4
  has "partitions" "PartitionCount: 4" "$(kafka-topics --describe --topic "$short")"
  kafka-topics --delete --topic "$short"
  has "gone" "does not exist" "$(refused kafka-topics --describe --topic "$short")"
}

console_producer_and_consumer() {
  seq 1 500 | sed 's/.*/h1:a,h2:b\tk&\tline &/' |
    kafka-console-producer --topic "$topic" --compression-codec lz4 \
      --reader-property parse.key=true --reader-property parse.headers=true
  kafka-console-consumer --topic "$topic" --from-beginning --max-messages 500 --group "$group" \
    --formatter-property print.key=true --formatter-property print.headers=true >"$work/read"
  seq 1 500 | sed 's/.*/h1:a,h2:b\tk&\tline &/' | sort >"$work/wanted"
  sort "$work/read" | cmp "$work/wanted" -
  # From a place: one partition, its last record.
  local last
  last=$(kafka-get-offsets --topic-partitions "$topic:1" | cut -d: -f3)
  same "the last" 1 "$(kafka-console-consumer --topic "$topic" --partition 1 --offset $((last - 1)) --max-messages 1 | wc -l)"
}

get_offsets() {
  local ends
  ends=$(kafka-get-offsets --topic "$topic")
  same "records" 500 "$(cut -d: -f3 <<<"$ends" | paste -sd+ | { read -r sum; echo $((sum)); })"
  same "starts" "$(printf "$topic:%d:0\n" 0 1 2)" "$(kafka-get-offsets --topic "$topic" --time earliest)"
  same "after the last" "" "$(kafka-get-offsets --topic "$topic" --time "$(date -d '+1 day' +%s%3N)")"
  same "youngest" 3 "$(kafka-get-offsets --topic "$topic" --time max-timestamp | grep -c "$topic")"
}

consumer_groups_describe_and_reset() {
  local found
  has "list" "$group" "$(kafka-consumer-groups --list)"
  has "listed by kafka-groups" "$group" "$(kafka-groups --list)"
  # The console consumer commits what it printed when it closes.
  found=$(kafka-consumer-groups --describe --group "$group" 2>&1)
  has "no member" "has no active members" "$found"
  same "lag" "0 0 0" "$(awk -v topic="$topic" '$2 == topic {print $6}' <<<"$found" | paste -sd' ')"
  has "state" "Empty" "$(kafka-consumer-groups --describe --group "$group" --state)"
  kafka-consumer-groups --group "$group" --topic "$topic" --reset-offsets --to-earliest --execute
  kafka-consumer-groups --group "$group" --topic "$topic:1" --reset-offsets --to-offset 5 --execute
  found=$(kafka-consumer-groups --describe --group "$group" 2>/dev/null)
  same "offsets" "0 5 0" "$(awk -v topic="$topic" '$2 == topic {print $3, $4}' <<<"$found" | sort | cut -d' ' -f2 | paste -sd' ')"
  same "the group reads again" 495 "$(kafka-console-consumer --topic "$topic" --group "$group" --max-messages 495 --timeout-ms 20000 | wc -l)"
  kafka-consumer-groups --group "$group" --topic "$topic:0" --delete-offsets
  has "deleted" "was successful" "$(kafka-consumer-groups --group "$group" --delete)"
  has "gone" "Group $group not found" "$(kafka-consumer-groups --describe --group "$group" 2>&1 || true)"
}

group_with_a_member() {
  local member busy found
  busy=$(unique busy)
  java_tool $tools.consumer.ConsoleConsumer --bootstrap-server "$BOOTSTRAP" --topic "$topic" --group "$busy" \
    >"$work/busy" 2>"$work/busy.said" &
  member=$!
  stable() { [[ $(kafka-consumer-groups --describe --group "$busy" --state 2>&1) == *Stable* ]]; }
  eventually 40 stable
  found=$(kafka-consumer-groups --describe --group "$busy" --members --verbose)
  has "assignor" "range" "$(kafka-consumer-groups --describe --group "$busy" --state)"
  has "assignment" "$topic:0,1,2" "$found"
  has "host" "/127.0.0.1" "$found"
  has "refused" "GroupNotEmptyException" "$(kafka-consumer-groups --group "$busy" --delete 2>&1 || true)"
  kill $member
  wait $member || true
}

configs() {
  local found
  kafka-configs --entity-type topics --entity-name "$topic" --alter --add-config retention.ms=7200000,segment.bytes=2000000
  found=$(kafka-configs --entity-type topics --entity-name "$topic" --describe)
  has "set" "retention.ms=7200000" "$found"
  has "set" "segment.bytes=2000000" "$found"
  kafka-configs --entity-type topics --entity-name "$topic" --alter --delete-config segment.bytes
  found=$(kafka-configs --entity-type topics --entity-name "$topic" --describe --all)
  has "default" "segment.bytes=1073741824 sensitive=false" "$found"
  has "default" "min.insync.replicas=1" "$found"
  has "refused" "InvalidConfigurationException" \
    "$(refused kafka-configs --entity-type topics --entity-name "$topic" --alter --add-config retention.ms=soon)"
  has "broker" "num.partitions=4" "$(kafka-configs --entity-type brokers --entity-name 0 --describe --all)"
}

delete_records() {
  printf '{"partitions":[{"topic":"%s","partition":2,"offset":10}],"version":1}' "$topic" >"$work/delete.json"
  has "deleted" "low_watermark: 10" "$(kafka-delete-records --offset-json-file "$work/delete.json")"
  same "starts" "$(printf "$topic:%d:%d\n" 0 0 1 0 2 10)" "$(kafka-get-offsets --topic "$topic" --time earliest)"
}

performance_and_dump_log() {
  local load files found
  load=$(unique load)
  kafka-topics --create --topic "$load" --partitions 1 --config segment.bytes=3000000 >/dev/null
  has "producer" "20000 records sent" "$(java_tool $tools.ProducerPerformance --topic "$load" --num-records 20000 \
    --record-size 512 --throughput -1 --bootstrap-server "$BOOTSTRAP" --command-property compression.type=zstd)"
  found=$(java_tool $tools.ConsumerPerformance --bootstrap-server "$BOOTSTRAP" --topic "$load" --num-records 20000 | tail -n 1)
  same "consumer" 20000 "$(cut -d, -f5 <<<"$found" | tr -d ' ')"
  # What the broker wrote, read by Kafka's own eyes: every batch whole, every offset there.
  all_dumped() {
    # Ottla has the number of the topic's life behind the name of the folder.
    files=$(find "$DATA" -path "*/$load-0*/*.log" | sort | paste -sd,)
    [[ -n $files ]] || return 1
    kafka-dump-log --print-data-log --files "$files" >"$work/dump" 2>&1
    (($(grep -c '^| offset: ' "$work/dump") == 20000))
  }
  eventually 30 all_dumped
  (($(tr ',' '\n' <<<"$files" | wc -l) >= 3)) || { echo "not rolled: $files"; return 1; }
  same "valid" 0 "$(grep -c 'isvalid: false' "$work/dump")"
}

offsets_topic_is_readable() {
  local committed
  committed=$(unique committed)
  # It would read its own commits, and so find no end.
  offsets_topic() {
    kafka-console-consumer --topic __consumer_offsets --from-beginning --timeout-ms 5000 \
      --command-property enable.auto.commit=false --formatter "$tools.consumer.$1" 2>/dev/null || true
  }
  kafka-console-consumer --topic "$topic" --from-beginning --max-messages 100 --group "$committed" >/dev/null
  offsets_topic OffsetsMessageFormatter >"$work/offsets"
  has "commit" "\"group\":\"$committed\",\"topic\":\"$topic\"" "$(grep "$committed" "$work/offsets")"
  offsets_topic GroupMetadataMessageFormatter >"$work/groups"
  has "generation" "\"protocol\":\"range\"" "$(grep "$committed" "$work/groups")"
}

versions_cluster_and_features() {
  local found
  found=$(with_server $tools.BrokerApiVersionsCommand)
  has "produce" "Produce(0): 0 to 13 [usable: 13]" "$found"
  has "fetch" "Fetch(1): 4 to 18 [usable: 18]" "$found"
  has "cluster" "Cluster ID: " "$(java_tool $tools.ClusterTool cluster-id --bootstrap-server "$BOOTSTRAP")"
  has "brokers" "127.0.0.1" "$(java_tool $tools.ClusterTool list-endpoints --bootstrap-server "$BOOTSTRAP")"
  has "features" "metadata.version" "$(with_server $tools.FeatureCommand describe)"
}

check "kafka-topics: create, describe, list" topics_create_describe_list
check "kafka-topics: alter, delete" topics_alter_delete
check "kafka-console-producer and -consumer" console_producer_and_consumer
check "kafka-get-offsets" get_offsets
check "kafka-consumer-groups: describe, reset, delete" consumer_groups_describe_and_reset
check "kafka-consumer-groups: a group with a member" group_with_a_member
check "kafka-configs" configs
check "kafka-delete-records" delete_records
check "producer and consumer performance; kafka-dump-log" performance_and_dump_log
check "__consumer_offsets is readable" offsets_topic_is_readable
check "versions, cluster, features" versions_cluster_and_features
all_done
