// Package behaviour says what a Kafka client may rely on, once for every Go client. It knows no client:
// `franz` and `sarama` are adapters of the interface Client. The same checks in Python: ../../python/behaviour.py.
package behaviour

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
)

const (
	partitions = 3
	kib        = 1024
)

// Codes of Kafka's protocol, as far as the checks expect them.
const (
	OffsetOutOfRange   = 1
	UnknownTopic       = 3
	MessageTooLarge    = 10
	InvalidTopic       = 17
	TopicAlreadyExists = 36
	InvalidConfig      = 40
	NonEmptyGroup      = 68
)

type Header struct {
	Key   string
	Value []byte
}

type Record struct {
	Key, Value  []byte
	Headers     []Header
	TimestampMs int64
	Partition   int32
	Offset      int64
}

type Place struct {
	Partition int32
	Offset    int64
}

type How struct {
	Acks       int16 // -1 is all.
	Codec      string
	Idempotent bool
}

// Client is what an adapter has to offer. AtTime gives -1 where no record is as young as asked.
type Client interface {
	CreateTopic(name string, partitions int32, configs map[string]string) error
	DeleteTopic(name string) error
	AddPartitions(name string, total int32) error
	PartitionCount(name string) (int, error)
	TopicConfig(topic, key string) (string, error)
	SetTopicConfig(topic, key, value string) error
	Produce(topic string, records []Record, how How) ([]Place, error)
	Read(topic string, starts map[int32]int64, count int) ([]Record, error)
	Earliest(topic string, partition int32) (int64, error)
	Latest(topic string, partition int32) (int64, error)
	AtTime(topic string, partition int32, ms int64) (int64, error)
	DeleteRecords(topic string, partition int32, before int64) error
	Join(group, topic string) (Member, error)
	Committed(group, topic string, partition int32) (int64, error)
	Groups() ([]string, error)
	DeleteGroup(name string) error
	// ErrorCode gives Kafka's code of an error that came from the broker, 0 for any other.
	ErrorCode(err error) int16
}

// Member is a member of a group that polls on goroutines of its own, as an application would.
type Member interface {
	Received() []Record
	Assigned() []int32
	Commit() error
	Leave() error
}

// Inbox is where the adapters' members keep what they were given.
type Inbox struct {
	lock     sync.Mutex
	received []Record
	assigned map[int32]bool
}

func (b *Inbox) Add(record Record) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.received = append(b.received, record)
}

func (b *Inbox) Assign(mine bool, partitions ...int32) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.assigned == nil {
		b.assigned = map[int32]bool{}
	}
	for _, partition := range partitions {
		if mine {
			b.assigned[partition] = true
		} else {
			delete(b.assigned, partition)
		}
	}
}

func (b *Inbox) Received() []Record {
	b.lock.Lock()
	defer b.lock.Unlock()
	return slices.Clone(b.received)
}

func (b *Inbox) Assigned() []int32 {
	b.lock.Lock()
	defer b.lock.Unlock()
	var found []int32
	for partition := range b.assigned {
		found = append(found, partition)
	}
	return found
}

// Run puts a client through all checks and ends the program.
func Run(client Client) {
	checks := []check{}
	for _, acks := range []int16{0, 1, -1} {
		name := fmt.Sprint(acks)
		if acks == -1 {
			name = "all"
		}
		checks = append(checks, check{"acks=" + name, func() { roundTrip(client, "acks-"+name, How{Acks: acks, Codec: "none"}) }})
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		checks = append(checks, check{"codec " + codec, func() { roundTrip(client, "codec-"+codec, How{Acks: -1, Codec: codec}) }})
	}
	runAll(append(checks,
		check{"idempotent producer keeps order", func() { idempotent(client) }},
		check{"value of 900 KiB and value of nothing", func() { largeAndEmpty(client) }},
		check{"message too large is refused", func() { tooLarge(client) }},
		check{"unknown topic is an error", func() { unknownTopic(client) }},
		check{"consume from the beginning and from the end", func() { beginningAndEnd(client) }},
		check{"seek by time", func() { seekByTime(client) }},
		check{"group rebalances as members join and leave", func() { rebalance(client) }},
		check{"committed offsets and records survive SIGKILL", func() { committedSurvive(client) }},
		check{"admin: topics, partitions, configs", func() { adminTopics(client) }},
		check{"admin: delete records", func() { adminDeleteRecords(client) }},
		check{"admin: list and delete groups", func() { adminGroups(client) }},
	))
}

// varied gives records that differ in everything a record has: nulls, empties, repeated headers, odd bytes.
func varied(count int, startTimeMs int64) []Record {
	allBytes := make([]byte, 256)
	for i := range allBytes {
		allBytes[i] = byte(i)
	}
	records := make([]Record, count)
	for i := range records {
		record := Record{TimestampMs: startTimeMs + 10*int64(i), Partition: int32(i % partitions)}
		switch i % 7 {
		case 3:
		case 5:
			record.Key = []byte{}
		default:
			record.Key = fmt.Appendf(nil, "key-%d", i)
		}
		switch {
		case i%11 == 4 && i%7 != 3:
		case i%11 == 6:
			record.Value = []byte{}
		default:
			record.Value = append(bytes.Repeat(fmt.Appendf(nil, "value-%d-", i), i%40+1), allBytes...)
		}
		if i%3 != 0 {
			record.Headers = []Header{{"trace", fmt.Append(nil, i)}, {"trace", []byte{0, 0xff}}, {"empty", []byte{}}}
		}
		records[i] = record
	}
	return records
}

const someTimeMs = 1_700_000_000_000

func topic(client Client, name string, configs map[string]string) string {
	name = unique(name)
	must(client.CreateTopic(name, partitions, configs))
	// With acks=0 nothing tells that a partition was not led yet.
	eventually("the new topic has leaders", func() bool {
		for p := range int32(partitions) {
			if end, err := client.Latest(name, p); err != nil || end != 0 {
				return false
			}
		}
		return true
	})
	return name
}

func readAll(client Client, topic string, count int) []Record {
	return need(client.Read(topic, map[int32]int64{0: 0, 1: 0, 2: 0}, count))
}

func produce(client Client, topic string, records []Record) []Place {
	return need(client.Produce(topic, records, How{Acks: -1, Codec: "none"}))
}

// sameByPartition compares everything but offsets, in order within each partition.
func sameByPartition(found, wanted []Record) {
	for p := range int32(partitions) {
		of := func(all []Record) (mine []Record) {
			for _, record := range all {
				if record.Partition == p {
					mine = append(mine, record)
				}
			}
			return mine
		}
		f, w := of(found), of(wanted)
		expect(len(f) == len(w), "partition %d has %d records, not %d", p, len(f), len(w))
		for i := range f {
			expect(f[i].same(w[i]), "partition %d, record %d: %v is not %v", p, i, f[i], w[i])
		}
	}
}

func (r Record) same(other Record) bool {
	headers := slices.EqualFunc(r.Headers, other.Headers, func(a, b Header) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
	})
	// A null is not an empty one.
	return headers && bytes.Equal(r.Key, other.Key) && (r.Key == nil) == (other.Key == nil) &&
		bytes.Equal(r.Value, other.Value) && (r.Value == nil) == (other.Value == nil) && r.TimestampMs == other.TimestampMs
}

func roundTrip(client Client, name string, how How) {
	topic, records := topic(client, name, nil), varied(300, someTimeMs)
	need(client.Produce(topic, records, how))
	read := readAll(client, topic, len(records))
	sameByPartition(read, records)
	next := map[int32]int64{}
	for _, record := range read {
		expect(record.Offset == next[record.Partition], "offset %d where %d is next", record.Offset, next[record.Partition])
		next[record.Partition]++
	}
}

func idempotent(client Client) {
	topic, records := topic(client, "idempotent", nil), varied(3000, someTimeMs)
	places := need(client.Produce(topic, records, How{Acks: -1, Codec: "none", Idempotent: true}))
	seen := map[Place]bool{}
	for _, place := range places {
		expect(!seen[place] && place.Offset < 1000, "%v is given twice, or is too high", place)
		seen[place] = true
	}
	expect(len(seen) == 3000, "%d places", len(seen))
	sameByPartition(readAll(client, topic, len(records)), records)
}

func incompressible(size int) []byte {
	value := make([]byte, size)
	need(rand.Read(value))
	return value
}

func largeAndEmpty(client Client) {
	topic := topic(client, "large", nil)
	records := []Record{
		{Key: []byte("large"), Value: incompressible(900 * kib), TimestampMs: someTimeMs},
		{Key: []byte{}, Value: []byte{}, TimestampMs: someTimeMs + 1},
	}
	produce(client, topic, records)
	sameByPartition(readAll(client, topic, 2), records)
}

func tooLarge(client Client) {
	topic := topic(client, "too-large", nil)
	large := []Record{{Key: []byte("k"), Value: incompressible(2000 * kib), TimestampMs: someTimeMs}}
	_, err := client.Produce(topic, large, How{Acks: -1, Codec: "none"})
	expectCode(client, err, MessageTooLarge)
	expect(need(client.Latest(topic, 0)) == 0, "a refused record has an offset")
	// The partition goes on as if nothing had happened.
	expect(produce(client, topic, varied(1, someTimeMs))[0] == Place{0, 0}, "the next record is not the first")
}

func unknownTopic(client Client) {
	_, err := client.PartitionCount(unique("never-created"))
	expectCode(client, err, UnknownTopic)
}

func beginningAndEnd(client Client) {
	topic, before, after := topic(client, "ends", nil), varied(30, someTimeMs), varied(60, someTimeMs+100_000)
	produce(client, topic, before)
	ends := map[int32]int64{}
	for p := range int32(partitions) {
		ends[p] = need(client.Latest(topic, p))
		expect(ends[p] == 10, "the end of %d is %d", p, ends[p])
		expect(need(client.Earliest(topic, p)) == 0, "the start of %d", p)
	}
	produce(client, topic, after)
	sameByPartition(need(client.Read(topic, ends, len(after))), after)
	sameByPartition(readAll(client, topic, 90), append(before, after...))
}

func seekByTime(client Client) {
	topic, records := topic(client, "time", nil), varied(300, someTimeMs)
	produce(client, topic, records)
	starts := map[int32]int64{}
	for p := range int32(partitions) {
		at := func(ms, wanted int64) {
			found := need(client.AtTime(topic, p, ms))
			expect(found == wanted, "partition %d at %d: %d, not %d", p, ms, found, wanted)
		}
		time := func(i int) int64 { return records[int(p)+partitions*i].TimestampMs }
		at(time(40), 40)
		at(time(40)+1, 41)
		at(0, 0)
		at(time(99)+1, -1)
		starts[p] = need(client.AtTime(topic, p, records[150].TimestampMs))
	}
	sameByPartition(need(client.Read(topic, starts, 150)), records[150:])
}

func rebalance(client Client) {
	topic, group := topic(client, "rebalance", nil), unique("rebalance")
	var members []Member
	defer func() {
		for _, member := range members {
			must(member.Leave())
		}
	}()
	settled := func() bool {
		var all []int32
		for _, member := range members {
			share := member.Assigned()
			if len(share) == 0 {
				return false
			}
			all = append(all, share...)
		}
		slices.Sort(all)
		return slices.Equal(all, []int32{0, 1, 2})
	}
	for size := 1; size <= 3; size++ {
		members = append(members, need(client.Join(group, topic)))
		eventually(fmt.Sprintf("%d members share all partitions", size), settled)
	}
	received := func() (all []Record) {
		for _, member := range members {
			all = append(all, member.Received()...)
		}
		return all
	}
	records := varied(300, someTimeMs)
	produce(client, topic, records)
	eventually("the group reads all", func() bool { return len(received()) >= 300 })
	sameByPartition(received(), records)
	first := members[0]
	must(first.Commit())
	members = members[1:]
	must(first.Leave())
	eventually("those who stay take over", settled)
}

// consumeAsGroup gives a member that has read `count` records.
func consumeAsGroup(client Client, group, topic string, count int) Member {
	member := need(client.Join(group, topic))
	eventually(fmt.Sprintf("%d records read", count), func() bool { return len(member.Received()) >= count })
	return member
}

func committedSurvive(client Client) {
	topic, group, records := topic(client, "survive", nil), unique("survive"), varied(300, someTimeMs)
	need(client.Produce(topic, records, How{Acks: -1, Codec: "lz4", Idempotent: true}))
	member := consumeAsGroup(client, group, topic, 300)
	must(member.Commit())
	must(member.Leave())
	more := varied(30, someTimeMs+200_000)
	produce(client, topic, more)
	killAndRestartBroker()
	eventually("the client is connected again", func() bool {
		_, err := client.PartitionCount(topic)
		return err == nil
	})
	sameByPartition(readAll(client, topic, 330), slices.Concat(records, more))
	member = consumeAsGroup(client, group, topic, 30)
	must(member.Leave())
	sameByPartition(member.Received(), more)
	for p := range int32(partitions) {
		offset := need(client.Committed(group, topic, p))
		expect(offset == 100, "committed in %d is %d", p, offset)
	}
}

func adminTopics(client Client) {
	topic := topic(client, "admin", map[string]string{"retention.ms": "3600000"})
	retention := func() string { return need(client.TopicConfig(topic, "retention.ms")) }
	count := func() int {
		found, err := client.PartitionCount(topic)
		if err != nil {
			return -1
		}
		return found
	}
	expect(count() == partitions, "%d partitions", count())
	expect(retention() == "3600000", "retention.ms is %s", retention())
	must(client.SetTopicConfig(topic, "retention.ms", "7200000"))
	eventually("the config is changed", func() bool { return retention() == "7200000" })
	expectCode(client, client.SetTopicConfig(topic, "retention.ms", "soon"), InvalidConfig)
	expectCode(client, client.CreateTopic(topic, 1, nil), TopicAlreadyExists)
	expectCode(client, client.CreateTopic("not/a/name", 1, nil), InvalidTopic)
	must(client.AddPartitions(topic, 5))
	eventually("two partitions more", func() bool { return count() == 5 })
	must(client.DeleteTopic(topic))
	eventually("the topic is gone", func() bool { return count() == -1 })
}

func adminDeleteRecords(client Client) {
	topic, records := topic(client, "delete-records", nil), varied(300, someTimeMs)
	produce(client, topic, records)
	must(client.DeleteRecords(topic, 1, 60))
	start, end := need(client.Earliest(topic, 1)), need(client.Latest(topic, 1))
	expect(start == 60 && end == 100, "the log is %d..%d", start, end)
	var kept []Record
	for i, record := range records {
		if record.Partition != 1 || i/partitions >= 60 {
			kept = append(kept, record)
		}
	}
	sameByPartition(need(client.Read(topic, map[int32]int64{0: 0, 1: 60, 2: 0}, 240)), kept)
	expectCode(client, client.DeleteRecords(topic, 1, 101), OffsetOutOfRange)
}

func adminGroups(client Client) {
	topic, group := topic(client, "groups", nil), unique("groups")
	produce(client, topic, varied(3, someTimeMs))
	member := consumeAsGroup(client, group, topic, 3)
	must(member.Commit())
	expect(slices.Contains(need(client.Groups()), group), "the group is not listed")
	expectCode(client, client.DeleteGroup(group), NonEmptyGroup)
	must(member.Leave())
	eventually("an empty group can be deleted", func() bool {
		err := client.DeleteGroup(group)
		if err != nil {
			expectCode(client, err, NonEmptyGroup)
		}
		return err == nil
	})
	expect(!slices.Contains(need(client.Groups()), group), "the group is still listed")
}
