//! Every metric there is, in the order in which it is written. Names of others are as their dashboards ask for them.
use super::family::{Family, exporter, lag_exporter, own, strimzi};
use admin::text::Kind::{Counter, Gauge, Histogram, Summary};

/// Families that belong together, under the heading that the documentation gives them.
pub struct Section {
    pub heading: &'static str,
    pub families: &'static [Family],
}

pub const SECTIONS: &[Section] = &[
    Section { heading: "Cluster and controller", families: CLUSTER },
    Section { heading: "Replicas", families: REPLICAS },
    Section { heading: "Traffic by topic", families: TRAFFIC },
    Section { heading: "Requests and connections", families: REQUESTS },
    Section { heading: "Topics and partitions", families: PARTITIONS },
    Section { heading: "Consumer groups", families: GROUPS },
    Section { heading: "Log engine", families: ENGINE },
    Section { heading: "Process", families: PROCESS },
];

/// The family of this name. Every name is written where its values are made, and a test reads them all.
pub fn find(name: &str) -> &'static Family {
    let mut all = SECTIONS.iter().flat_map(|section| section.families);
    all.find(|family| family.name == name).unwrap_or_else(|| panic!("{name} is in no table of metrics"))
}

const CLUSTER: &[Family] = &[
    own(Gauge, "ottla_build_info", &["version"], "1, of the version that runs"),
    own(Gauge, "ottla_node_info", &["cluster_id", "node_id"], "1, of this node"),
    exporter("kafka_brokers", &[], "Brokers of the cluster"),
    exporter("kafka_broker_info", &["id", "address"], "1, of each broker"),
    exporter(
        "kafka_exporter_build_info",
        &["branch", "goversion", "revision", "version"],
        "1; dashboards find their clusters by it",
    ),
    strimzi(Gauge, "kafka_server_kafkaserver_brokerstate", &[], "3 while it runs, 6 while it stops"),
    strimzi(
        Gauge,
        "kafka_controller_kafkacontroller_activecontrollercount",
        &[],
        "1 on the node that is the controller",
    ),
    strimzi(Gauge, "kafka_controller_kafkacontroller_activebrokercount", &[], "Brokers that are not fenced"),
    strimzi(Gauge, "kafka_controller_kafkacontroller_fencedbrokercount", &[], "Brokers that are fenced"),
    strimzi(Gauge, "kafka_controller_kafkacontroller_globaltopiccount", &[], "Topics of the cluster"),
    strimzi(Gauge, "kafka_controller_kafkacontroller_globalpartitioncount", &[], "Partitions of the cluster"),
    strimzi(Gauge, "kafka_controller_kafkacontroller_offlinepartitionscount", &[], "Partitions that have no leader"),
    strimzi(
        Gauge,
        "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
        &[],
        "Partitions whose leader is not their preferred one",
    ),
    strimzi(
        Gauge,
        "kafka_controller_kafkacontroller_lastappliedrecordoffset",
        &[],
        "The entry of the metadata log up to which it is applied",
    ),
    strimzi(
        Counter,
        "kafka_controller_controllerstats_uncleanleaderelections_total",
        &[],
        "Elections of a leader out of the in-sync set. One node has no other to elect",
    )
    .or("kafka_controller_controllerstats_uncleanleaderelectionspersec"),
    strimzi(
        Gauge,
        "kafka_server_raftmetrics_current_state",
        &["current_state"],
        "1, of what the node is among the controllers",
    )
    .or("kafka_server_raft_metrics_current_state"),
    strimzi(Gauge, "kafka_server_raftmetrics_current_leader", &[], "The node that is the controller")
        .or("kafka_server_raft_metrics_current_leader"),
    strimzi(Gauge, "kafka_server_raftmetrics_current_vote", &[], "The node that this one has voted for")
        .or("kafka_server_raft_metrics_current_vote"),
    strimzi(Gauge, "kafka_server_raftmetrics_current_epoch", &[], "The term of the controller")
        .or("kafka_server_raft_metrics_current_epoch"),
    strimzi(Gauge, "kafka_server_raftmetrics_high_watermark", &[], "Entries of the metadata log that are committed")
        .or("kafka_server_raft_metrics_high_watermark"),
    strimzi(Gauge, "kafka_server_raftmetrics_log_end_offset", &[], "Entries of the metadata log")
        .or("kafka_server_raft_metrics_log_end_offset"),
    strimzi(
        Gauge,
        "kafka_server_raftmetrics_commit_latency_avg",
        &[],
        "Milliseconds that a change of the cluster needed to be committed, on average of the last minutes",
    )
    .or("kafka_server_raft_metrics_commit_latency_avg"),
    strimzi(
        Gauge,
        "kafka_server_raftmetrics_append_records_rate",
        &[],
        "Records a second that were appended to the metadata log in the last minutes",
    )
    .or("kafka_server_raft_metrics_append_records_rate"),
    strimzi(
        Gauge,
        "kafka_server_raftmetrics_fetch_records_rate",
        &[],
        "Records a second that were fetched from the leader of the metadata log: none on the leader itself",
    )
    .or("kafka_server_raft_metrics_fetch_records_rate"),
    own(Histogram, "ottla_metadata_commit_seconds", &[], "From a change of the cluster until it is committed")
        .in_unit("seconds"),
    strimzi(
        Gauge,
        "kafka_server_brokermetadatametrics_last_applied_record_offset",
        &[],
        "The entry of the metadata log up to which the broker has applied it",
    )
    .or("kafka_server_broker_metadata_metrics_last_applied_record_offset"),
];

const REPLICAS: &[Family] = &[
    strimzi(Gauge, "kafka_server_replicamanager_leadercount", &[], "Partitions that this broker leads"),
    strimzi(Gauge, "kafka_server_replicamanager_partitioncount", &[], "Partitions that this broker has"),
    strimzi(
        Gauge,
        "kafka_server_replicamanager_underreplicatedpartitions",
        &[],
        "Partitions led here of which a replica is out of sync",
    ),
    strimzi(
        Gauge,
        "kafka_server_replicamanager_underminisrpartitioncount",
        &[],
        "Partitions led here with fewer replicas in sync than min.insync.replicas",
    ),
    strimzi(
        Gauge,
        "kafka_server_replicamanager_atminisrpartitioncount",
        &[],
        "Partitions led here with just as many replicas in sync as min.insync.replicas",
    ),
    strimzi(
        Gauge,
        "kafka_server_replicamanager_offlinereplicacount",
        &[],
        "Partitions in a log directory that is offline",
    ),
    strimzi(
        Counter,
        "kafka_server_replicamanager_isrshrinks_total",
        &[],
        "Replicas that left an in-sync set. One node is in all of its own",
    )
    .or("kafka_server_replicamanager_isrshrinkspersec"),
    strimzi(
        Counter,
        "kafka_server_replicamanager_isrexpands_total",
        &[],
        "Replicas that came into an in-sync set. One node is in all of its own",
    )
    .or("kafka_server_replicamanager_isrexpandspersec"),
];

const TRAFFIC: &[Family] = &[
    strimzi(
        Counter,
        "kafka_server_brokertopicmetrics_messagesin_total",
        &["topic"],
        "Records appended; without a topic: of all topics",
    )
    .or("kafka_server_brokertopicmetrics_messagesinpersec"),
    strimzi(Counter, "kafka_server_brokertopicmetrics_bytesin_total", &["topic"], "Bytes of batches appended")
        .or("kafka_server_brokertopicmetrics_bytesinpersec"),
    strimzi(Counter, "kafka_server_brokertopicmetrics_bytesout_total", &["topic"], "Bytes of batches fetched")
        .or("kafka_server_brokertopicmetrics_bytesoutpersec"),
    strimzi(
        Counter,
        "kafka_server_brokertopicmetrics_totalproducerequests_total",
        &["topic"],
        "Produces, counted for each partition",
    )
    .or("kafka_server_brokertopicmetrics_totalproducerequestspersec"),
    strimzi(
        Counter,
        "kafka_server_brokertopicmetrics_totalfetchrequests_total",
        &["topic"],
        "Fetches, counted for each partition",
    )
    .or("kafka_server_brokertopicmetrics_totalfetchrequestspersec"),
    strimzi(
        Counter,
        "kafka_server_brokertopicmetrics_failedproducerequests_total",
        &["topic"],
        "Produces that failed for what Kafka, too, does not expect",
    )
    .or("kafka_server_brokertopicmetrics_failedproducerequestspersec"),
    strimzi(
        Counter,
        "kafka_server_brokertopicmetrics_failedfetchrequests_total",
        &["topic"],
        "Fetches that failed for what Kafka, too, does not expect",
    )
    .or("kafka_server_brokertopicmetrics_failedfetchrequestspersec"),
];

const REQUESTS: &[Family] = &[
    strimzi(Counter, "kafka_network_requestmetrics_requests_total", &["request"], "Requests answered")
        .or("kafka_network_requestmetrics_requestspersec"),
    strimzi(
        Counter,
        "kafka_network_requestmetrics_errors_total",
        &["request", "error"],
        "Error codes in the answers, each partition's and each topic's counted, NONE too",
    )
    .or("kafka_network_requestmetrics_errorspersec"),
    strimzi(
        Summary,
        "kafka_network_requestmetrics_totaltimems",
        &["request"],
        "Milliseconds from the whole request to the sent answer; quantiles of the last five minutes, as all of these",
    ),
    strimzi(
        Summary,
        "kafka_network_requestmetrics_requestqueuetimems",
        &["request"],
        "Milliseconds until the request began: earlier ones of its connection come first",
    ),
    strimzi(
        Summary,
        "kafka_network_requestmetrics_localtimems",
        &["request"],
        "Milliseconds until it was done, or waited for the first time",
    ),
    strimzi(
        Summary,
        "kafka_network_requestmetrics_remotetimems",
        &["request"],
        "Milliseconds of waiting: for the disk, for records to come, for members of a group",
    ),
    strimzi(
        Summary,
        "kafka_network_requestmetrics_responsequeuetimems",
        &["request"],
        "Milliseconds that an answer lay ready before it was sent: none, each connection sends its own",
    ),
    strimzi(
        Summary,
        "kafka_network_requestmetrics_responsesendtimems",
        &["request"],
        "Milliseconds until the answer was in the socket",
    ),
    own(Histogram, "ottla_request_seconds", &["request"], "From the whole request to the sent answer")
        .in_unit("seconds"),
    own(
        Histogram,
        "ottla_request_phase_seconds",
        &["request", "phase"],
        "The parts of it: request_queue, local, remote, response_send",
    )
    .in_unit("seconds"),
    strimzi(
        Gauge,
        "kafka_network_requestchannel_requestqueuesize",
        &[],
        "Requests that have come and may not begin yet",
    ),
    strimzi(
        Gauge,
        "kafka_network_socketserver_networkprocessoravgidle_percent",
        &[],
        "The share of the last minutes, 0 to 1, in which the threads that serve requests had nothing to do",
    )
    .or("kafka_network_socketserver_networkprocessoravgidlepercent"),
    strimzi(
        Gauge,
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
        &[],
        "The same: with Ottla these are the same threads",
    )
    .or("kafka_server_kafkarequesthandlerpool_requesthandleravgidlepercent_oneminuterate"),
    strimzi(
        Gauge,
        "kafka_server_socket_server_metrics_connection_count",
        &["listener", "networkProcessor"],
        "Open connections of clients",
    ),
    own(Gauge, "ottla_connections", &["listener"], "Open connections of clients"),
    own(Counter, "ottla_connections_opened_total", &["listener"], "Connections that were accepted"),
    own(
        Counter,
        "ottla_connections_refused_total",
        &["listener"],
        "Connections closed at once, above max.connections.per.ip",
    ),
    own(
        Counter,
        "ottla_connections_excess_total",
        &["listener"],
        "Connections closed as the longest silent ones, when there were more than max.connections",
    ),
    own(
        Counter,
        "ottla_throttles_total",
        &["quota"],
        "How often a client was held back: connection (of an address), connection_creation, controller_mutation, fetch, produce, request",
    ),
    own(Counter, "ottla_throttle_seconds_total", &["quota"], "For how long clients were held back").in_unit("seconds"),
    own(Gauge, "ottla_request_memory_bytes", &[], "Requests in memory that are larger than 16 KiB").in_unit("bytes"),
    strimzi(
        Gauge,
        "kafka_server_fetchsessioncache_numincrementalfetchsessions",
        &[],
        "Incremental fetch sessions (KIP-227)",
    ),
];

const PARTITIONS: &[Family] = &[
    exporter("kafka_topic_partitions", &["topic"], "Partitions of the topic"),
    exporter("kafka_topic_partition_current_offset", &["topic", "partition"], "The high watermark"),
    exporter("kafka_topic_partition_oldest_offset", &["topic", "partition"], "The log start"),
    exporter("kafka_topic_partition_leader", &["topic", "partition"], "The node that leads it"),
    exporter("kafka_topic_partition_leader_is_preferred", &["topic", "partition"], "1 if that is its first replica"),
    exporter("kafka_topic_partition_replicas", &["topic", "partition"], "Replicas"),
    exporter("kafka_topic_partition_in_sync_replica", &["topic", "partition"], "Replicas in sync"),
    exporter(
        "kafka_topic_partition_under_replicated_partition",
        &["topic", "partition"],
        "1 if a replica is out of sync",
    ),
    strimzi(Gauge, "kafka_log_log_size", &["topic", "partition"], "Bytes of the log"),
    strimzi(Gauge, "kafka_log_log_numlogsegments", &["topic", "partition"], "Segments of the log"),
    strimzi(Gauge, "kafka_log_log_logstartoffset", &["topic", "partition"], "The first offset of the log"),
    strimzi(Gauge, "kafka_log_log_logendoffset", &["topic", "partition"], "The offset of the next record"),
    strimzi(Gauge, "kafka_cluster_partition_replicascount", &["topic", "partition"], "Replicas"),
    strimzi(Gauge, "kafka_cluster_partition_insyncreplicascount", &["topic", "partition"], "Replicas in sync"),
    strimzi(Gauge, "kafka_cluster_partition_underreplicated", &["topic", "partition"], "1 if a replica is out of sync"),
    strimzi(
        Gauge,
        "kafka_cluster_partition_underminisr",
        &["topic", "partition"],
        "1 if fewer are in sync than min.insync.replicas",
    ),
    strimzi(
        Gauge,
        "kafka_cluster_partition_atminisr",
        &["topic", "partition"],
        "1 if just as many are in sync as min.insync.replicas",
    ),
    own(
        Gauge,
        "ottla_metrics_hidden",
        &["level"],
        "Topics, partitions, groups and their partitions that are not shown one by one: ottla.metrics.detail says why",
    ),
];

const GROUPS: &[Family] = &[
    strimzi(Gauge, "kafka_coordinator_group_groupmetadatamanager_numgroups", &[], "Groups coordinated here"),
    strimzi(
        Gauge,
        "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance",
        &[],
        "Groups whose members are joining",
    ),
    strimzi(
        Gauge,
        "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance",
        &[],
        "Groups that wait for their assignment",
    ),
    strimzi(Gauge, "kafka_coordinator_group_groupmetadatamanager_numgroupsstable", &[], "Groups at work"),
    strimzi(Gauge, "kafka_coordinator_group_groupmetadatamanager_numgroupsempty", &[], "Groups without members"),
    strimzi(Gauge, "kafka_coordinator_group_groupmetadatamanager_numoffsets", &[], "Offsets committed"),
    exporter("kafka_consumergroup_members", &["consumergroup"], "Members of the group"),
    exporter(
        "kafka_consumergroup_current_offset",
        &["consumergroup", "topic", "partition"],
        "The offset that the group has committed",
    ),
    exporter(
        "kafka_consumergroup_lag",
        &["consumergroup", "topic", "partition"],
        "Records between it and the high watermark",
    ),
    exporter("kafka_consumergroup_current_offset_sum", &["consumergroup", "topic"], "Committed offsets, added up"),
    exporter("kafka_consumergroup_lag_sum", &["consumergroup", "topic"], "Lags, added up"),
    lag_exporter("kafka_partition_latest_offset", &["cluster_name", "topic", "partition"], "The high watermark"),
    lag_exporter("kafka_partition_earliest_offset", &["cluster_name", "topic", "partition"], "The log start"),
    lag_exporter(
        "kafka_consumergroup_group_offset",
        &["cluster_name", "group", "topic", "partition"],
        "The offset that the group has committed",
    ),
    lag_exporter(
        "kafka_consumergroup_group_lag",
        &["cluster_name", "group", "topic", "partition"],
        "Records between it and the high watermark",
    ),
    lag_exporter(
        "kafka_consumergroup_group_lag_seconds",
        &["cluster_name", "group", "topic", "partition"],
        "How long ago the first record was written that the group has not committed; 0 if there is none",
    ),
    lag_exporter("kafka_consumergroup_group_max_lag", &["cluster_name", "group"], "The greatest lag of its partitions"),
    lag_exporter(
        "kafka_consumergroup_group_max_lag_seconds",
        &["cluster_name", "group"],
        "The greatest lag of its partitions in seconds",
    ),
    lag_exporter("kafka_consumergroup_group_sum_lag", &["cluster_name", "group"], "Lags of its partitions, added up"),
    lag_exporter(
        "kafka_consumergroup_group_topic_sum_lag",
        &["cluster_name", "group", "topic"],
        "Lags of a topic's partitions, added up",
    ),
];

const ENGINE: &[Family] = &[
    strimzi(Gauge, "kafka_log_logmanager_offlinelogdirectorycount", &[], "Log directories that are offline"),
    strimzi(Gauge, "kafka_log_logmanager_logdirectoryoffline", &["logDirectory"], "1 if the log directory is offline"),
    strimzi(
        Summary,
        "kafka_log_logflushstats_logflushrateandtimems",
        &[],
        "Milliseconds of the sync of a group of appends; quantiles of the last five minutes",
    ),
    own(
        Histogram,
        "ottla_commit_seconds",
        &["directory"],
        "From the begin of a group of appends until it is on stable storage",
    )
    .in_unit("seconds"),
    own(Histogram, "ottla_commit_phase_seconds", &["directory", "phase"], "The parts of it: write (to the lane), sync")
        .in_unit("seconds"),
    own(Counter, "ottla_log_appended_batches_total", &["directory"], "Batches appended to logs"),
    own(Counter, "ottla_log_appended_bytes_total", &["directory"], "Bytes appended to logs").in_unit("bytes"),
    own(Counter, "ottla_log_groups_total", &["directory"], "Groups committed, each with one sync"),
    own(Counter, "ottla_log_lane_bytes_total", &["directory"], "Bytes written to the lane").in_unit("bytes"),
    own(Counter, "ottla_log_pieces_total", &["directory"], "Pieces written from tails to segments"),
    own(Counter, "ottla_log_piece_bytes_total", &["directory"], "Their bytes").in_unit("bytes"),
    own(Counter, "ottla_log_direct_pieces_total", &["directory"], "Pieces written straight to segments"),
    own(Counter, "ottla_log_segment_syncs_total", &["directory"], "Syncs of segments"),
    own(Counter, "ottla_log_checkpoints_total", &["directory"], "Checkpoints"),
    own(Counter, "ottla_log_recycled_files_total", &["directory"], "Files of the lane used again"),
    own(Counter, "ottla_log_compactions_total", &["directory"], "Compactions of a log"),
    own(Counter, "ottla_log_compaction_read_bytes_total", &["directory"], "What compactions have read")
        .in_unit("bytes"),
    own(Counter, "ottla_log_compaction_kept_bytes_total", &["directory"], "What compactions have left")
        .in_unit("bytes"),
    own(Gauge, "ottla_log_tails_bytes", &["directory"], "Records not yet in a segment").in_unit("bytes"),
    own(Gauge, "ottla_log_tails_max_bytes", &["directory"], "What they may have before producers wait")
        .in_unit("bytes"),
    own(Gauge, "ottla_log_faulty_ranges", &["directory"], "Ranges of records that are damaged"),
    own(Gauge, "ottla_log_strays", &["directory"], "Logs of which the metadata knows nothing: kept, and not served"),
    own(Gauge, "ottla_log_directory_full", &["directory"], "1 while the file system has no room for produces"),
    own(Gauge, "ottla_log_directory_free_bytes", &["directory"], "Free in its file system").in_unit("bytes"),
    own(Gauge, "ottla_log_directory_size_bytes", &["directory"], "Size of its file system").in_unit("bytes"),
];

const PROCESS: &[Family] = &[
    own(Counter, "process_cpu_seconds_total", &[], "CPU time of the process").in_unit("seconds"),
    own(Gauge, "process_resident_memory_bytes", &[], "Resident memory").in_unit("bytes"),
    own(Gauge, "process_virtual_memory_bytes", &[], "Virtual memory").in_unit("bytes"),
    own(Gauge, "process_open_fds", &[], "Open files and sockets"),
    own(Gauge, "process_max_fds", &[], "As many as there may be"),
    own(Gauge, "process_threads", &[], "Threads"),
    own(Gauge, "process_start_time_seconds", &[], "When the broker started, since 1970").in_unit("seconds"),
    strimzi(Counter, "kafka_server_kafkaserver_linux_disk_read_bytes", &[], "Bytes read from disks by the process"),
    strimzi(Counter, "kafka_server_kafkaserver_linux_disk_write_bytes", &[], "Bytes written to disks by the process"),
];
