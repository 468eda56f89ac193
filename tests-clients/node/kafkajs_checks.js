'use strict'
// kafkajs put through the checks of ../python/behaviour.py. Environment as there.

const assert = require('assert')
const crypto = require('crypto')
const path = require('path')
const { eventually, run, sleep, unique } = require('./checks.js')

const nodeModules = process.argv[2]
const need = name => require(path.join(nodeModules, name))
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, Partitioners, logLevel } = need('kafkajs')

const PARTITIONS = 3
const KIB = 1024
const SOME_TIME = 1_700_000_000_000

const kafka = new Kafka({
  brokers: [process.env.BOOTSTRAP],
  clientId: 'checks',
  logLevel: logLevel.NOTHING,
  // Bounded: a topic that does not exist is an error, and not asked for again for half a minute.
  retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 5 },
})
const admin = kafka.admin()

// kafkajs has gzip of its own; the others are what an application plugs in.
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD }

async function plugCodecs() {
  const snappy = need('snappyjs')
  const lz4 = need('lz4js')
  const zstd = need('@bokuweb/zstd-wasm')
  await zstd.init()
  const codec = (compress, decompress) => () => ({
    compress: async encoder => Buffer.from(compress(encoder.buffer)),
    decompress: async buffer => Buffer.from(decompress(buffer)),
  })
  CompressionCodecs[CompressionTypes.Snappy] = codec(snappy.compress, buffer => snappy.uncompress(withoutXerial(buffer)))
  CompressionCodecs[CompressionTypes.LZ4] = codec(buffer => independentBlocks(lz4.compress(buffer)), lz4.decompress)
  CompressionCodecs[CompressionTypes.ZSTD] = codec(zstd.compress, zstd.decompress)
}

/**
 * lz4js does not say that its blocks stand alone, and Kafka takes only such (Lz4BlockOutputStream.FLG.validate).
 * A batch here is one block, so it is true; the flags have a checksum.
 */
function independentBlocks(frame) {
  const xxhash = need('lz4js/xxh32.js')
  frame[4] |= 0x20
  frame[6] = xxhash.hash(0, frame, 4, 2) >> 8
  return frame
}

/** Others may have framed their snappy as Java does; here only our own is read. */
function withoutXerial(buffer) {
  assert.notStrictEqual(buffer.subarray(0, 8).toString('latin1'), '\x82SNAPPY\0', 'framed snappy')
  return buffer
}

// ---- records

function varied(count, startTime = SOME_TIME) {
  const allBytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  return Array.from({ length: count }, (_, i) => ({
    key: i % 7 === 3 ? null : i % 7 === 5 ? Buffer.alloc(0) : Buffer.from(`key-${i}`),
    value: i % 11 === 4 && i % 7 !== 3 ? null : i % 11 === 6 ? Buffer.alloc(0) :
      Buffer.concat([Buffer.from(`value-${i}-`.repeat((i % 40) + 1)), allBytes]),
    headers: i % 3 === 0 ? {} : { trace: [Buffer.from(String(i)), Buffer.from([0, 0xff])], empty: Buffer.alloc(0) },
    timestamp: startTime + 10 * i,
    partition: i % PARTITIONS,
  }))
}

const hex = value => value === null || value === undefined ? null : Buffer.from(value).toString('hex')
const content = ({ key, value, headers, timestamp, partition }) => ({
  key: hex(key),
  value: hex(value),
  headers: Object.entries(headers || {}).map(([name, values]) => [name, [values].flat().map(hex)]),
  timestamp: Number(timestamp),
  partition,
})
const byPartition = records =>
  Array.from({ length: PARTITIONS }, (_, p) => records.filter(r => r.partition === p).map(content))

function same(found, wanted, what) {
  // Not deepStrictEqual's own text: it would print kilobytes.
  byPartition(found).forEach((mine, p) => {
    const theirs = byPartition(wanted)[p]
    assert.strictEqual(mine.length, theirs.length, `${what}: records of partition ${p}`)
    mine.forEach((record, i) => assert.ok(JSON.stringify(record) === JSON.stringify(theirs[i]), `${what}: record ${i} of partition ${p}`))
  })
}

// ---- what the checks are made of

/** `action` must fail with Kafka's error `type`, directly or as the cause. */
async function refused(action, type) {
  try {
    await action()
  } catch (error) {
    const types = [error, error.cause, error.originalError, ...(error.errors || []), ...(error.groups || []), error.groups?.[0]?.error]
    const named = types.filter(Boolean).map(e => e.type || e.error?.type)
    assert.ok(named.includes(type), `expected ${type}, not: ${error.name} ${error.message} (${named})`)
    return
  }
  assert.fail(`no error, expected ${type}`)
}

const offsets = async topic => {
  const found = await admin.fetchTopicOffsets(topic)
  return found.sort((a, b) => a.partition - b.partition).map(({ low, high }) => [Number(low), Number(high)])
}

async function newTopic(name, configs = {}) {
  const topic = unique(name)
  const configEntries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1, configEntries }] })
  // With acks=0 nothing tells that a partition was not led yet.
  await eventually(async () => (await offsets(topic).catch(() => [])).length === PARTITIONS, 'the new topic has leaders')
  return topic
}

async function produce(topic, messages, { acks = -1, codec = 'none', idempotent = false } = {}) {
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner, idempotent, allowAutoTopicCreation: false,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  try {
    const sent = messages.map(message => ({ ...message, timestamp: String(message.timestamp) }))
    return await producer.send({ topic, acks, compression: CODECS[codec], messages: sent })
  } finally {
    await producer.disconnect()
  }
}

class Member {
  constructor(group, topic, options = {}) {
    this.topic = topic
    this.received = []
    this.assigned = []
    this.next = new Map()
    this.consumer = kafka.consumer({
      groupId: group, sessionTimeout: 10_000, rebalanceTimeout: 10_000, heartbeatInterval: 500, maxWaitTimeInMs: 200,
      allowAutoTopicCreation: false, ...options,
    })
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.joined = true
      this.assigned = payload.memberAssignment[topic] || []
    })
    this.consumer.on(this.consumer.events.REBALANCING, () => { this.assigned = [] })
    this.consumer.on(this.consumer.events.CRASH, ({ payload }) => { this.error = payload.error })
  }

  async start(seeks = []) {
    this.isPlaced = seeks.length === 0
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [this.topic], fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isStale, isRunning }) => {
        // A batch fetched before a seek took effect is not what was asked for: it comes again.
        if (isStale() || !isRunning() || !this.isPlaced) return
        for (const message of batch.messages) {
          this.received.push({ ...message, partition: batch.partition })
          this.next.set(batch.partition, BigInt(message.offset) + 1n)
        }
        resolveOffset(batch.lastOffset())
        await heartbeat()
      },
    })
    await eventually(() => this.joined, 'the group is joined')
    for (const { partition, offset } of seeks) this.consumer.seek({ topic: this.topic, partition, offset: String(offset) })
    this.isPlaced = true
    return this
  }

  commit() {
    return this.consumer.commitOffsets([...this.next].map(([partition, offset]) => ({ topic: this.topic, partition, offset: String(offset) })))
  }

  leave() {
    return this.consumer.disconnect()
  }
}

/** Reads exactly `count` records from `starts`; a member of a group of its own, since kafkajs knows no other reader. */
async function read(topic, starts, count) {
  const seeks = starts.map((offset, partition) => ({ partition, offset }))
  const member = await new Member(unique(`reads-${topic}-${crypto.randomBytes(2).toString('hex')}`), topic).start(seeks)
  try {
    await eventually(() => member.received.length >= count, `${count} records, only ${member.received.length}`)
    await sleep(300)
    assert.strictEqual(member.received.length, count, 'records read')
    return member.received
  } finally {
    await member.leave()
  }
}
const readAll = (topic, count) => read(topic, [0, 0, 0], count)

async function consumeAsGroup(group, topic, count) {
  const member = await new Member(group, topic).start()
  await eventually(() => member.received.length >= count, `${count} records read by ${group}`)
  return member
}

// ---- the checks

async function roundTrip(name, how) {
  const topic = await newTopic(name)
  const records = varied(300)
  await produce(topic, records, how)
  const found = await readAll(topic, records.length)
  same(found, records, 'what was read')
  for (let p = 0; p < PARTITIONS; p++) {
    const mine = found.filter(r => r.partition === p).map(r => Number(r.offset))
    assert.deepStrictEqual(mine, Array.from({ length: 100 }, (_, i) => i), 'offsets')
  }
}

async function idempotent() {
  const topic = await newTopic('idempotent')
  const records = varied(3000)
  const places = await produce(topic, records, { idempotent: true })
  assert.deepStrictEqual(places.map(p => [p.partition, Number(p.baseOffset)]).sort(), [[0, 0], [1, 0], [2, 0]])
  same(await readAll(topic, records.length), records, 'what was read')
}

async function largeAndEmpty() {
  const topic = await newTopic('large')
  const records = [
    { key: Buffer.from('large'), value: crypto.randomBytes(900 * KIB), headers: {}, timestamp: SOME_TIME, partition: 0 },
    { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: {}, timestamp: SOME_TIME + 1, partition: 0 },
  ]
  await produce(topic, records)
  same(await readAll(topic, 2), records, 'what was read')
}

async function tooLarge() {
  const topic = await newTopic('too-large')
  const large = [{ key: 'k', value: crypto.randomBytes(2000 * KIB), timestamp: SOME_TIME, partition: 0 }]
  await refused(() => produce(topic, large), 'MESSAGE_TOO_LARGE')
  assert.deepStrictEqual((await offsets(topic))[0], [0, 0], 'a refused record has an offset')
  // The partition goes on as if nothing had happened.
  assert.strictEqual((await produce(topic, varied(1)))[0].baseOffset, '0')
}

async function dependentBlocks() {
  const topic = await newTopic('dependent')
  const plugged = CompressionCodecs[CompressionTypes.LZ4]
  const compress = async encoder => Buffer.from(need('lz4js').compress(encoder.buffer))
  CompressionCodecs[CompressionTypes.LZ4] = () => ({ compress })
  try {
    // Kafka has no better code for it: an exception that nobody expected.
    await refused(() => produce(topic, varied(3), { codec: 'lz4' }), 'UNKNOWN')
  } finally {
    CompressionCodecs[CompressionTypes.LZ4] = plugged
  }
  assert.deepStrictEqual(await offsets(topic), [[0, 0], [0, 0], [0, 0]], 'a refused record has an offset')
}

async function unknownTopic() {
  await refused(() => admin.fetchTopicMetadata({ topics: [unique('never-created')] }), 'UNKNOWN_TOPIC_OR_PARTITION')
}

async function beginningAndEnd() {
  const topic = await newTopic('ends')
  const before = varied(30)
  const after = varied(60, SOME_TIME + 100_000)
  await produce(topic, before)
  assert.deepStrictEqual(await offsets(topic), [[0, 10], [0, 10], [0, 10]])
  await produce(topic, after)
  same(await read(topic, [10, 10, 10], 60), after, 'from the former end')
  same(await readAll(topic, 90), [...before, ...after], 'from the beginning')
}

async function seekByTime() {
  const topic = await newTopic('time')
  const records = varied(300)
  await produce(topic, records)
  const at = async time => (await admin.fetchTopicOffsetsByTimestamp(topic, time)).sort((a, b) => a.partition - b.partition).map(p => Number(p.offset))
  const timeOf = i => records[i].timestamp
  assert.deepStrictEqual(await at(timeOf(150)), [50, 50, 50])
  assert.deepStrictEqual(await at(timeOf(150) + 1), [51, 50, 50])
  assert.deepStrictEqual(await at(0), [0, 0, 0])
  // No record is as young: kafkajs then asks for the end.
  assert.deepStrictEqual(await at(timeOf(299) + 1), [100, 100, 100])
  same(await read(topic, await at(timeOf(150)), 150), records.slice(150), 'from a time')
}

async function rebalance() {
  const topic = await newTopic('rebalance')
  const group = unique('rebalance')
  const members = []
  const settled = () => members.every(m => m.assigned.length > 0) &&
    members.flatMap(m => m.assigned).sort().join() === '0,1,2'
  try {
    for (let size = 1; size <= 3; size++) {
      members.push(await new Member(group, topic).start())
      await eventually(settled, `${size} members share`)
    }
    const records = varied(300)
    await produce(topic, records)
    const received = () => members.flatMap(m => m.received)
    await eventually(() => received().length >= 300, 'the group reads all')
    same(received(), records, 'what the group saw')
    const first = members.shift()
    await first.commit()
    await first.leave()
    await eventually(settled, 'those who stay take over')
  } finally {
    await Promise.all(members.map(m => m.leave()))
  }
}

async function committedSurvive() {
  const topic = await newTopic('survive')
  const group = unique('survive')
  const records = varied(300)
  const more = varied(30, SOME_TIME + 200_000)
  await produce(topic, records, { codec: 'gzip', idempotent: true })
  let member = await consumeAsGroup(group, topic, 300)
  await member.commit()
  await member.leave()
  await produce(topic, more)
  const answer = await fetch(`${process.env.CONTROL}/kill-and-restart`, { method: 'POST' })
  assert.strictEqual(answer.status, 200, await answer.text())
  await eventually(() => offsets(topic).then(() => true, () => false), 'the client is connected again')
  same(await readAll(topic, 330), [...records, ...more], 'the log')
  member = await consumeAsGroup(group, topic, 30)
  await member.leave()
  same(member.received, more, 'the group goes on where it had committed')
  const committed = (await admin.fetchOffsets({ groupId: group, topics: [topic] }))[0].partitions
  assert.deepStrictEqual(committed.map(p => Number(p.offset)), [100, 100, 100])
}

async function adminTopics() {
  const topic = await newTopic('admin', { 'retention.ms': '3600000' })
  const count = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
  const type = ConfigResourceTypes.TOPIC
  const retention = async () => {
    const answer = await admin.describeConfigs({ resources: [{ type, name: topic, configNames: ['retention.ms'] }] })
    return answer.resources[0].configEntries[0].configValue
  }
  const setRetention = value => admin.alterConfigs({ resources: [{ type, name: topic, configEntries: [{ name: 'retention.ms', value }] }] })
  assert.strictEqual(await count(), PARTITIONS)
  assert.strictEqual(await retention(), '3600000')
  await setRetention('7200000')
  await eventually(async () => (await retention()) === '7200000', 'the config is changed')
  await refused(() => setRetention('soon'), 'INVALID_CONFIG')
  // kafkajs gives false, not an error, for a topic that exists.
  assert.strictEqual(await admin.createTopics({ topics: [{ topic }] }), false)
  await refused(() => admin.createTopics({ topics: [{ topic: 'not/a/name' }] }), 'INVALID_TOPIC_EXCEPTION')
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await eventually(async () => (await count()) === 5, 'two partitions more')
  await admin.deleteTopics({ topics: [topic] })
  await eventually(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone')
}

async function adminDeleteRecords() {
  const topic = await newTopic('delete-records')
  const records = varied(300)
  await produce(topic, records)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '60' }] })
  assert.deepStrictEqual((await offsets(topic))[1], [60, 100])
  const kept = records.filter((r, i) => r.partition !== 1 || i >= 180)
  same(await read(topic, [0, 60, 0], 240), kept, 'what is left')
}

async function adminGroups() {
  const topic = await newTopic('groups')
  const group = unique('groups')
  await produce(topic, varied(3))
  const member = await consumeAsGroup(group, topic, 3)
  await member.commit()
  const listed = async () => (await admin.listGroups()).groups.some(g => g.groupId === group && g.protocolType === 'consumer')
  assert.ok(await listed(), 'the group is listed')
  const described = (await admin.describeGroups([group])).groups[0]
  assert.strictEqual(described.state, 'Stable')
  assert.strictEqual(described.members.length, 1)
  await refused(() => admin.deleteGroups([group]), 'NON_EMPTY_GROUP')
  await member.leave()
  await eventually(() => admin.deleteGroups([group]).then(() => true, () => false), 'an empty group can be deleted')
  assert.ok(!(await listed()), 'the group is still listed')
}

const CHECKS = [
  ...[0, 1, -1].map(acks => [`acks=${acks === -1 ? 'all' : acks}`, () => roundTrip(`acks${acks}`, { acks })]),
  ...Object.keys(CODECS).map(codec => [`codec ${codec}`, () => roundTrip(`codec-${codec}`, { codec })]),
  ['idempotent producer keeps order', idempotent],
  ['value of 900 KiB and value of nothing', largeAndEmpty],
  ['message too large is refused', tooLarge],
  ['unknown topic is an error', unknownTopic],
  ['consume from the beginning and from the end', beginningAndEnd],
  ['seek by time', seekByTime],
  ['group rebalances as members join and leave', rebalance],
  ['committed offsets and records survive SIGKILL', committedSurvive],
  ['admin: topics, partitions, configs', adminTopics],
  ['lz4 of dependent blocks is refused', dependentBlocks],
  ['admin: delete records', adminDeleteRecords],
  ['admin: list, describe and delete groups', adminGroups],
]

async function main() {
  await plugCodecs()
  await admin.connect()
  await run(CHECKS)
}

main()
