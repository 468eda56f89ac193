// franz-go put through the package behaviour.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	. "ottla/tests-clients/behaviour"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The client refuses a record above its own limit before the broker can.
const requestBytesMax = 8_000_000

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

type franz struct {
	admin *kadm.Client
}

func main() {
	admin := connect()
	Run(franz{kadm.NewClient(admin)})
}

func connect(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(Bootstrap), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		panic(err)
	}
	return client
}

func within(seconds int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
}

func (f franz) ErrorCode(err error) int16 {
	var found *kerr.Error
	if errors.As(err, &found) {
		return found.Code
	}
	return 0
}

func (f franz) CreateTopic(name string, partitions int32, configs map[string]string) error {
	ctx, cancel := within(30)
	defer cancel()
	values := map[string]*string{}
	for key, value := range configs {
		values[key] = &value
	}
	_, err := f.admin.CreateTopic(ctx, partitions, 1, values, name)
	return err
}

func (f franz) DeleteTopic(name string) error {
	ctx, cancel := within(30)
	defer cancel()
	_, err := f.admin.DeleteTopic(ctx, name)
	return err
}

func (f franz) AddPartitions(name string, total int32) error {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := f.admin.UpdatePartitions(ctx, int(total), name)
	return errors.Join(err, answer.Error())
}

func (f franz) PartitionCount(name string) (int, error) {
	ctx, cancel := within(30)
	defer cancel()
	topics, err := f.admin.ListTopics(ctx, name)
	if err != nil {
		return 0, err
	}
	return len(topics[name].Partitions), topics[name].Err
}

func (f franz) TopicConfig(topic, key string) (string, error) {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := f.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return "", err
	}
	resource, err := answer.On(topic, nil)
	if err != nil {
		return "", err
	}
	for _, config := range resource.Configs {
		if config.Key == key {
			return config.MaybeValue(), nil
		}
	}
	return "", fmt.Errorf("no config %s", key)
}

func (f franz) SetTopicConfig(topic, key, value string) error {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := f.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil {
		return err
	}
	return answer[0].Err
}

func (f franz) Produce(topic string, records []Record, how How) ([]Place, error) {
	acks := map[int16]kgo.Acks{0: kgo.NoAck(), 1: kgo.LeaderAck(), -1: kgo.AllISRAcks()}[how.Acks]
	options := []kgo.Opt{
		kgo.RequiredAcks(acks), kgo.ProducerBatchCompression(codecs[how.Codec]), kgo.ProducerLinger(5 * time.Millisecond),
		kgo.ProducerBatchMaxBytes(requestBytesMax), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	if !how.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client := connect(options...)
	defer client.Close()
	ctx, cancel := within(60)
	defer cancel()
	var batch []*kgo.Record
	for _, record := range records {
		var headers []kgo.RecordHeader
		for _, header := range record.Headers {
			headers = append(headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
		}
		batch = append(batch, &kgo.Record{
			Topic: topic, Partition: record.Partition, Key: record.Key, Value: record.Value, Headers: headers,
			Timestamp: time.UnixMilli(record.TimestampMs),
		})
	}
	var places []Place
	for _, result := range client.ProduceSync(ctx, batch...) {
		if result.Err != nil {
			return nil, result.Err
		}
		places = append(places, Place{Partition: result.Record.Partition, Offset: result.Record.Offset})
	}
	return places, nil
}

func ours(record *kgo.Record) Record {
	var headers []Header
	for _, header := range record.Headers {
		headers = append(headers, Header{Key: header.Key, Value: header.Value})
	}
	return Record{
		Key: record.Key, Value: record.Value, Headers: headers, TimestampMs: record.Timestamp.UnixMilli(),
		Partition: record.Partition, Offset: record.Offset,
	}
}

func (f franz) Read(topic string, starts map[int32]int64, count int) ([]Record, error) {
	offsets := map[int32]kgo.Offset{}
	for partition, offset := range starts {
		offsets[partition] = kgo.NewOffset().At(offset)
	}
	client := connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	defer client.Close()
	var records []Record
	for {
		// When all is there, a while longer: nothing more may come.
		seconds := 10
		if len(records) >= count {
			seconds = 1
		}
		ctx, cancel := within(seconds)
		fetches := client.PollFetches(ctx)
		cancel()
		for _, failed := range fetches.Errors() {
			if errors.Is(failed.Err, context.DeadlineExceeded) {
				continue
			}
			return nil, failed.Err
		}
		fetches.EachRecord(func(record *kgo.Record) { records = append(records, ours(record)) })
		switch {
		case fetches.NumRecords() > 0:
		case len(records) == count:
			return records, nil
		default:
			return nil, fmt.Errorf("%d records, not %d", len(records), count)
		}
	}
}

func offsetOf(list func(context.Context, ...string) (kadm.ListedOffsets, error), topic string, partition int32) (int64, error) {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := list(ctx, topic)
	if err != nil {
		return 0, err
	}
	found, there := answer.Lookup(topic, partition)
	if !there {
		return 0, fmt.Errorf("no partition %d of %s", partition, topic)
	}
	return found.Offset, found.Err
}

func (f franz) Earliest(topic string, partition int32) (int64, error) {
	return offsetOf(f.admin.ListStartOffsets, topic, partition)
}

func (f franz) Latest(topic string, partition int32) (int64, error) {
	return offsetOf(f.admin.ListEndOffsets, topic, partition)
}

// AtTime asks kadm, which answers the end of the partition where no record is as young: its timestamp is then -1.
func (f franz) AtTime(topic string, partition int32, ms int64) (int64, error) {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := f.admin.ListOffsetsAfterMilli(ctx, ms, topic)
	if err != nil {
		return 0, err
	}
	found, _ := answer.Lookup(topic, partition)
	if found.Timestamp == -1 {
		return -1, found.Err
	}
	return found.Offset, found.Err
}

func (f franz) DeleteRecords(topic string, partition int32, before int64) error {
	ctx, cancel := within(30)
	defer cancel()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	answer, err := f.admin.DeleteRecords(ctx, offsets)
	return errors.Join(err, answer.Error())
}

func (f franz) Committed(group, topic string, partition int32) (int64, error) {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := f.admin.FetchOffsetsForTopics(ctx, group, topic)
	if err != nil {
		return 0, err
	}
	found, _ := answer.Lookup(topic, partition)
	return found.At, found.Err
}

func (f franz) Groups() ([]string, error) {
	ctx, cancel := within(30)
	defer cancel()
	answer, err := f.admin.ListGroups(ctx)
	return answer.Groups(), err
}

func (f franz) DeleteGroup(name string) error {
	ctx, cancel := within(30)
	defer cancel()
	_, err := f.admin.DeleteGroup(ctx, name)
	return err
}

type member struct {
	Inbox
	client *kgo.Client
	done   chan struct{}
}

// Join makes a member of franz-go's own default, the cooperative-sticky assignor.
func (f franz) Join(group, topic string) (Member, error) {
	m := &member{done: make(chan struct{})}
	assign := func(mine bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, of map[string][]int32) { m.Assign(mine, of[topic]...) }
	}
	m.client = connect(
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(assign(true)), kgo.OnPartitionsRevoked(assign(false)), kgo.OnPartitionsLost(assign(false)),
	)
	go func() {
		defer close(m.done)
		for {
			fetches := m.client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(func(record *kgo.Record) { m.Add(ours(record)) })
		}
	}()
	return m, nil
}

func (m *member) Commit() error {
	ctx, cancel := within(30)
	defer cancel()
	return m.client.CommitUncommittedOffsets(ctx)
}

func (m *member) Leave() error {
	m.client.Close()
	<-m.done
	return nil
}
