// sarama put through the package behaviour.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	. "ottla/tests-clients/behaviour"

	"github.com/IBM/sarama"
)

// The client refuses a record above its own limit before the broker can.
const requestBytesMax = 8_000_000

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

type client struct {
	sarama.Client
	admin sarama.ClusterAdmin
}

func main() {
	connection, err := sarama.NewClient([]string{Bootstrap}, config())
	if err != nil {
		panic(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(connection)
	if err != nil {
		panic(err)
	}
	Run(client{connection, admin})
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.AllowAutoTopicCreation = false
	config.Metadata.Retry.Backoff = 50 * time.Millisecond
	config.Consumer.Return.Errors = true
	return config
}

func (c client) ErrorCode(err error) int16 {
	var found sarama.KError
	if errors.As(err, &found) {
		return int16(found)
	}
	return 0
}

func (c client) CreateTopic(name string, partitions int32, configs map[string]string) error {
	entries := map[string]*string{}
	for key, value := range configs {
		entries[key] = &value
	}
	return c.admin.CreateTopic(name, &sarama.TopicDetail{
		NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries,
	}, false)
}

func (c client) DeleteTopic(name string) error { return c.admin.DeleteTopic(name) }

func (c client) AddPartitions(name string, total int32) error {
	return c.admin.CreatePartitions(name, total, nil, false)
}

func (c client) PartitionCount(name string) (int, error) {
	topics, err := c.admin.DescribeTopics([]string{name})
	if err != nil {
		return 0, err
	}
	if topics[0].Err != sarama.ErrNoError {
		return 0, topics[0].Err
	}
	return len(topics[0].Partitions), nil
}

func (c client) TopicConfig(topic, key string) (string, error) {
	entries, err := c.admin.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: topic, ConfigNames: []string{key},
	})
	if err != nil {
		return "", err
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("%d configs %s", len(entries), key)
	}
	return entries[0].Value, nil
}

func (c client) SetTopicConfig(topic, key, value string) error {
	return c.admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
	}, false)
}

func (c client) Produce(topic string, records []Record, how How) ([]Place, error) {
	config := config()
	config.Producer.RequiredAcks = sarama.RequiredAcks(how.Acks)
	config.Producer.Compression = codecs[how.Codec]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = requestBytesMax
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = how.Idempotent
	// Without either, sarama may reorder what it sends again.
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer([]string{Bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, record := range records {
		message := &sarama.ProducerMessage{
			Topic: topic, Partition: record.Partition, Timestamp: time.UnixMilli(record.TimestampMs),
		}
		if record.Key != nil {
			message.Key = sarama.ByteEncoder(record.Key)
		}
		if record.Value != nil {
			message.Value = sarama.ByteEncoder(record.Value)
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
		messages = append(messages, message)
	}
	if err := producer.SendMessages(messages); err != nil {
		var failed sarama.ProducerErrors
		if errors.As(err, &failed) {
			return nil, failed[0].Err
		}
		return nil, err
	}
	var places []Place
	for _, message := range messages {
		places = append(places, Place{Partition: message.Partition, Offset: message.Offset})
	}
	return places, nil
}

func ours(message *sarama.ConsumerMessage) Record {
	record := Record{
		Key: message.Key, Value: message.Value, TimestampMs: message.Timestamp.UnixMilli(),
		Partition: message.Partition, Offset: message.Offset,
	}
	for _, header := range message.Headers {
		record.Headers = append(record.Headers, Header{Key: string(header.Key), Value: header.Value})
	}
	return record
}

func (c client) Read(topic string, starts map[int32]int64, count int) ([]Record, error) {
	consumer, err := sarama.NewConsumer([]string{Bootstrap}, config())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	arrived, failed := make(chan Record), make(chan error, 1)
	var readers sync.WaitGroup
	var parts []sarama.PartitionConsumer
	for partition, offset := range starts {
		part, err := consumer.ConsumePartition(topic, partition, offset)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		readers.Go(func() {
			for message := range part.Messages() {
				arrived <- ours(message)
			}
		})
		readers.Go(func() {
			for err := range part.Errors() {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	defer func() {
		for _, part := range parts {
			part.AsyncClose()
		}
		go func() {
			readers.Wait()
			close(arrived)
		}()
		for range arrived {
		}
	}()
	var records []Record
	for {
		// When all is there, a while longer: nothing more may come.
		patience := 10 * time.Second
		if len(records) >= count {
			patience = 500 * time.Millisecond
		}
		select {
		case record := <-arrived:
			records = append(records, record)
		case err := <-failed:
			return nil, err
		case <-time.After(patience):
			if len(records) != count {
				return nil, fmt.Errorf("%d records, not %d", len(records), count)
			}
			return records, nil
		}
	}
}

func (c client) Earliest(topic string, partition int32) (int64, error) {
	return c.GetOffset(topic, partition, sarama.OffsetOldest)
}

func (c client) Latest(topic string, partition int32) (int64, error) {
	return c.GetOffset(topic, partition, sarama.OffsetNewest)
}

func (c client) AtTime(topic string, partition int32, ms int64) (int64, error) {
	return c.GetOffset(topic, partition, ms)
}

func (c client) DeleteRecords(topic string, partition int32, before int64) error {
	return c.admin.DeleteRecords(topic, map[int32]int64{partition: before})
}

func (c client) Committed(group, topic string, partition int32) (int64, error) {
	answer, err := c.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
	if err != nil {
		return 0, err
	}
	block := answer.GetBlock(topic, partition)
	if block == nil {
		return 0, fmt.Errorf("no answer for %s", group)
	}
	if block.Err != sarama.ErrNoError {
		return 0, block.Err
	}
	return block.Offset, nil
}

func (c client) Groups() ([]string, error) {
	found, err := c.admin.ListConsumerGroups()
	var names []string
	for name := range found {
		names = append(names, name)
	}
	return names, err
}

func (c client) DeleteGroup(name string) error { return c.admin.DeleteConsumerGroup(name) }

// member is sarama's handler of a group: one Setup and Cleanup per generation, one ConsumeClaim per partition.
type member struct {
	Inbox
	topic   string
	group   sarama.ConsumerGroup
	cancel  context.CancelFunc
	done    chan struct{}
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
}

func (c client) Join(group, topic string) (Member, error) {
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	joined, err := sarama.NewConsumerGroup([]string{Bootstrap}, group, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{topic: topic, group: joined, cancel: cancel, done: make(chan struct{})}
	go func() {
		for err := range joined.Errors() {
			fmt.Println("# told of", err)
		}
	}()
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				fmt.Println("# told of", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return m, nil
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	m.session = session
	m.lock.Unlock()
	m.Assign(true, session.Claims()[m.topic]...)
	return nil
}

func (m *member) Cleanup(session sarama.ConsumerGroupSession) error {
	m.Assign(false, session.Claims()[m.topic]...)
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		session.MarkMessage(message, "")
		m.Add(ours(message))
	}
	return nil
}

// Commit reports nothing: sarama tells of a failure on a channel, and the checks see it in what is committed.
func (m *member) Commit() error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session.Commit()
	return nil
}

func (m *member) Leave() error {
	m.cancel()
	<-m.done
	return m.group.Close()
}
