// What monitors of consumers ask of a broker: the calls of kminion (by franz-go, as it makes them) and of kafka_exporter
// (by sarama), which also read `__consumer_offsets` itself and take its records apart.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	. "ottla/tests-clients/behaviour"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const offsetsTopic = "__consumer_offsets"

func main() {
	watched := watch()
	RunChecks(
		Check("kminion reads committed offsets", watched.offsetsAreRead),
		Check("kminion reads groups and their members", watched.groupsAreRead),
		Check("kminion's calls of an administrator", watched.administrators),
		Check("kminion's end to end probe", endToEnd),
		Check("kafka_exporter's calls", watched.exporter),
		Check("what is deleted is deleted in the offsets topic", watched.tombstones),
	)
}

// A topic with records, and a group that has read some of them.
type group struct {
	topic, name string
	client      *kgo.Client
	admin       *kadm.Client
}

func connect(options ...kgo.Opt) *kgo.Client {
	return Need(kgo.NewClient(append(options, kgo.SeedBrokers(Bootstrap), kgo.ClientID("kminion"))...))
}

func within(seconds int) context.Context {
	ctx, _ := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	return ctx
}

func watch() *group {
	g := &group{topic: Unique("watched"), name: Unique("watchers")}
	plain := connect()
	g.admin = kadm.NewClient(plain)
	Need(g.admin.CreateTopic(within(30), 2, 1, nil, g.topic))
	for i := range 10 {
		Must(plain.ProduceSync(within(30), &kgo.Record{Topic: g.topic, Value: fmt.Append(nil, i)}).FirstErr())
	}
	g.client = connect(kgo.ConsumerGroup(g.name), kgo.ConsumeTopics(g.topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for seen := 0; seen < 10; {
		fetches := g.client.PollFetches(within(30))
		Must(fetches.Err())
		seen += fetches.NumRecords()
	}
	Must(g.client.CommitUncommittedOffsets(within(30)))
	return g
}

// All of `__consumer_offsets` up to its end: what the last record of each key says, nil where it is a tombstone.
func read() (offsets map[kmsg.OffsetCommitKey]*kmsg.OffsetCommitValue, groups map[string]*kmsg.GroupMetadataValue) {
	offsets, groups = map[kmsg.OffsetCommitKey]*kmsg.OffsetCommitValue{}, map[string]*kmsg.GroupMetadataValue{}
	client := connect(kgo.ConsumeTopics(offsetsTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer client.Close()
	ends := Need(kadm.NewClient(client).ListEndOffsets(within(30), offsetsTopic))
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left[end.Partition] = end.Offset
		}
	})
	for len(left) > 0 {
		fetches := client.PollFetches(within(30))
		Must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			decode(record, offsets, groups)
			if record.Offset+1 >= left[record.Partition] {
				delete(left, record.Partition)
			}
		})
	}
	return offsets, groups
}

func decode(record *kgo.Record, offsets map[kmsg.OffsetCommitKey]*kmsg.OffsetCommitValue, groups map[string]*kmsg.GroupMetadataValue) {
	Expect(len(record.Key) >= 2, "a key of %d bytes", len(record.Key))
	switch version := binary.BigEndian.Uint16(record.Key); version {
	case 0, 1:
		key := kmsg.NewOffsetCommitKey()
		Must(key.ReadFrom(record.Key))
		offsets[key] = nil
		if record.Value != nil {
			value := kmsg.NewOffsetCommitValue()
			Must(value.ReadFrom(record.Value))
			offsets[key] = &value
		}
	case 2:
		key := kmsg.NewGroupMetadataKey()
		Must(key.ReadFrom(record.Key))
		groups[key.Group] = nil
		if record.Value != nil {
			value := kmsg.NewGroupMetadataValue()
			Must(value.ReadFrom(record.Value))
			groups[key.Group] = &value
		}
	default:
		Expect(false, "a key of version %d, which kminion does not know", version)
	}
}

func (g *group) offsetsAreRead() {
	offsets, _ := read()
	total := int64(0)
	for key, value := range offsets {
		if key.Group == g.name && value != nil {
			Expect(key.Topic == g.topic, "a commit for %s", key.Topic)
			Expect(time.Since(time.UnixMilli(value.CommitTimestamp)).Abs() < time.Hour, "committed at %d", value.CommitTimestamp)
			total += value.Offset
		}
	}
	Expect(total == 10, "%d records are committed in all, not 10", total)
}

func (g *group) groupsAreRead() {
	_, groups := read()
	value := groups[g.name]
	Expect(value != nil, "nothing is known of the group")
	Expect(value.ProtocolType == "consumer" && value.Protocol != nil && value.Leader != nil, "%+v", value)
	Expect(value.Generation >= 1 && len(value.Members) == 1, "generation %d with %d members", value.Generation, len(value.Members))
	member := value.Members[0]
	Expect(member.ClientID == "kminion" && member.ClientHost != "" && member.MemberID == *value.Leader, "%+v", member)
	assignment := kmsg.NewConsumerMemberAssignment()
	Must(assignment.ReadFrom(member.Assignment))
	Expect(len(assignment.Topics) == 1 && assignment.Topics[0].Topic == g.topic && len(assignment.Topics[0].Partitions) == 2, "%+v", assignment)
}

func (g *group) administrators() {
	metadata := Need(g.admin.Metadata(within(30)))
	Expect(metadata.Cluster != "" && len(metadata.Brokers) == 1 && metadata.Topics.Has(g.topic), "%+v", metadata.Brokers)
	node := metadata.Brokers[0].NodeID
	brokers := Need(g.admin.DescribeBrokerConfigs(within(30), node))
	Expect(len(brokers) == 1 && brokers[0].Err == nil && len(brokers[0].Configs) > 100, "configs of the broker")
	topics := Need(g.admin.DescribeTopicConfigs(within(30), g.topic))
	Expect(topics[0].Err == nil && len(topics[0].Configs) > 20, "configs of the topic")
	starts, ends := Need(g.admin.ListStartOffsets(within(30))), Need(g.admin.ListEndOffsets(within(30)))
	total := int64(0)
	for partition := range int32(2) {
		start, _ := starts.Lookup(g.topic, partition)
		end, _ := ends.Lookup(g.topic, partition)
		Expect(start.Err == nil && end.Err == nil, "%v %v", start.Err, end.Err)
		total += end.Offset - start.Offset
	}
	Expect(total == 10, "%d records lie between start and end", total)
	dirs := Need(g.admin.DescribeAllLogDirs(within(30), nil))
	size := int64(0)
	dirs.Each(func(dir kadm.DescribedLogDir) {
		Expect(dir.Err == nil, "%s: %v", dir.Dir, dir.Err)
		dir.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if p.Topic == g.topic {
				size += p.Size
			}
		})
	})
	Expect(size > 0, "the topic has no bytes")
	groups := Need(g.admin.DescribeGroups(within(30), Need(g.admin.ListGroups(within(30))).Groups()...))
	described := groups[g.name]
	Expect(described.State == "Stable" && len(described.Members) == 1, "%s with %d members", described.State, len(described.Members))
	lag := Need(g.admin.Lag(within(30), g.name))[g.name]
	Expect(lag.Error() == nil && lag.Lag.Total() == 0, "lag %d, %v", lag.Lag.Total(), lag.Error())
	versions := Need(g.admin.ApiVersions(within(30)))[node]
	for key, version := range map[int16]int16{0: 13, 1: 18, 3: 13, 16: 5} {
		_, most, ok := versions.KeyVersions(key)
		Expect(ok && most >= version, "API %d up to %d", key, most)
	}
}

// kminion makes a topic of its own with a partition for each broker, and measures how long records and commits take.
func endToEnd() {
	topic, name := Unique("kminion-end-to-end"), Unique("kminion-end-to-end")
	admin := kadm.NewClient(connect())
	policy, retention := "delete", "600000"
	created := Need(admin.CreateTopics(within(30), 1, 1, map[string]*string{"cleanup.policy": &policy, "retention.ms": &retention}, topic))
	Must(created[topic].Err)
	producer := connect(kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()))
	consumer := connect(kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(), kgo.InstanceID("kminion"))
	defer producer.Close()
	defer consumer.Close()
	Eventually("a record of the probe comes back", func() bool {
		Must(producer.ProduceSync(within(10), &kgo.Record{Partition: 0, Value: []byte("probe")}).FirstErr())
		fetches := consumer.PollFetches(within(2))
		if fetches.NumRecords() == 0 {
			return false
		}
		Must(consumer.CommitRecords(within(10), fetches.Records()...))
		return true
	})
	committed := Need(admin.FetchOffsets(within(30), name))
	offset, found := committed.Lookup(topic, 0)
	Expect(found && offset.At > 0, "nothing is committed")
}

func (g *group) exporter() {
	config := sarama.NewConfig()
	config.ClientID, config.Version = "kafka_exporter", sarama.V4_1_0_0
	client := Need(sarama.NewClient([]string{Bootstrap}, config))
	defer client.Close()
	Must(client.RefreshMetadata())
	Expect(len(client.Brokers()) == 1, "%d brokers", len(client.Brokers()))
	total := int64(0)
	for _, partition := range Need(client.Partitions(g.topic)) {
		Need(client.Leader(g.topic, partition))
		newest := Need(client.GetOffset(g.topic, partition, sarama.OffsetNewest))
		oldest := Need(client.GetOffset(g.topic, partition, sarama.OffsetOldest))
		replicas, inSync := Need(client.Replicas(g.topic, partition)), Need(client.InSyncReplicas(g.topic, partition))
		Expect(len(replicas) == 1 && len(inSync) == 1, "replicas %v, in sync %v", replicas, inSync)
		total += newest - oldest
	}
	Expect(total == 10, "%d records", total)
	Need(client.Controller())
	broker := Need(client.Coordinator(g.name))
	Must(ignoreConnected(broker.Open(config)))
	groups := Need(broker.ListGroups(&sarama.ListGroupsRequest{}))
	Expect(groups.Groups[g.name] == "consumer", "groups: %v", groups.Groups)
	described := Need(broker.DescribeGroups(&sarama.DescribeGroupsRequest{Groups: []string{g.name}}))
	Expect(len(described.Groups) == 1 && described.Groups[0].State == "Stable" && len(described.Groups[0].Members) == 1, "%+v", described.Groups)
	request := sarama.OffsetFetchRequest{ConsumerGroup: g.name, Version: 1}
	for _, partition := range []int32{0, 1} {
		request.AddPartition(g.topic, partition)
	}
	fetched := Need(broker.FetchOffset(&request))
	committed := max(fetched.GetBlock(g.topic, 0).Offset, 0) + max(fetched.GetBlock(g.topic, 1).Offset, 0)
	Expect(committed == 10, "%d are committed", committed)
}

func ignoreConnected(err error) error {
	if err == sarama.ErrAlreadyConnected {
		return nil
	}
	return err
}

func (g *group) tombstones() {
	Must(g.client.LeaveGroupContext(within(30)))
	Eventually("the group is empty in the offsets topic", func() bool {
		_, groups := read()
		return groups[g.name] != nil && len(groups[g.name].Members) == 0
	})
	deleted := Need(g.admin.DeleteGroups(within(30), g.name))
	Must(deleted[g.name].Err)
	offsets, groups := read()
	value, known := groups[g.name]
	Expect(known && value == nil, "the group has no tombstone")
	for key, value := range offsets {
		Expect(key.Group != g.name || value == nil, "a commit is left: %+v", key)
	}
}
