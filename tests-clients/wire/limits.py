"""How the brokers of the suites `wire-limits` and `wire-dirs` are configured; the harness reads this too."""

PROPERTIES = {
    "auto.create.topics.enable": "false",
    "connections.max.idle.ms": "4000",
    "delete.topic.enable": "false",
    "fetch.max.bytes": "1024",
    "group.max.size": "2",
    "group.max.session.timeout.ms": "20000",
    "group.min.session.timeout.ms": "1000",
    "max.connections.per.ip": "50",
    "max.connections.per.ip.overrides": "127.0.0.2:3",
    "max.incremental.fetch.session.cache.slots": "8",
    "max.request.partition.size.limit": "3",
    "message.max.bytes": "2000",
    "offset.metadata.max.bytes": "10",
    "offsets.retention.check.interval.ms": "1000",
    "offsets.retention.minutes": "1",
    "quota.window.num": "3",
    "socket.request.max.bytes": "20000",
    "socket.receive.buffer.bytes": "20000",
    "socket.send.buffer.bytes": "-1",
}

# `{data}` is the broker's own folder.
TWO_DIRECTORIES = {
    "auto.create.topics.enable": "true",
    "log.dirs": "{data}/a,{data}/b",
    "log.segment.delete.delay.ms": "500",
}
