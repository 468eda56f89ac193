// @platformatic/kafka, the younger client of Node: what an application does with it. Environment as in kafkajs_checks.js.

import assert from 'node:assert'
import path from 'node:path'
import checks from './checks.js'

const { eventually, run, unique } = checks

const nodeModules = process.argv[2]
const kafka = await import(path.join(nodeModules, '@platformatic/kafka/dist/index.js'))
const { Admin, Consumer, Producer, ListOffsetTimestamps, MessagesStreamModes, ProduceAcks } = kafka

const PARTITIONS = 3
const common = { clientId: 'checks', bootstrapBrokers: [process.env.BOOTSTRAP], retries: 60, retryDelay: 250 }
const admin = new Admin(common)

async function refused(action, name) {
  try {
    await action()
  } catch (error) {
    const found = []
    for (const pending = [error]; pending.length;) {
      const next = pending.pop()
      found.push(next.apiId, next.message)
      pending.push(...(next.errors || []), ...(next.cause ? [next.cause] : []))
    }
    assert.ok(found.some(text => text?.includes(name)), `expected ${name}, not: ${found.join('; ')}`)
    return
  }
  assert.fail(`no error, expected ${name}`)
}

async function newTopic(name, configs = []) {
  const topic = unique(name)
  await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1, configs })
  // It sends a whole request again when one partition has no leader yet, also what the others have taken.
  await eventually(() => ends(topic).then(() => true, () => false), 'the new topic has leaders')
  return topic
}

async function listed(topic, timestamp) {
  const partitions = [0, 1, 2].map(partitionIndex => ({ partitionIndex, timestamp }))
  const [found] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
  return found.partitions.sort((a, b) => a.partitionIndex - b.partitionIndex).map(({ offset }) => Number(offset))
}
const ends = topic => listed(topic, ListOffsetTimestamps.LATEST)

const records = count => Array.from({ length: count }, (_, i) => ({
  key: i % 5 === 3 ? undefined : Buffer.from(`key-${i}`),
  value: i % 7 === 4 ? undefined : Buffer.from(`value-${i}-`.repeat((i % 30) + 1)),
  headers: i % 3 === 0 ? undefined : new Map([[Buffer.from('trace'), Buffer.from(String(i))]]),
  partition: i % PARTITIONS,
  timestamp: BigInt(1_700_000_000_000 + i),
}))

async function produce(topic, messages, options = {}) {
  const producer = new Producer({ ...common, autocreateTopics: false, ...options })
  try {
    return await producer.send({ messages: messages.map(message => ({ topic, ...message })) })
  } finally {
    await producer.close()
  }
}

const text = bytes => bytes === undefined || bytes === null ? null : bytes.toString()
const content = ({ key, value, headers, partition, timestamp }) => ({
  key: text(key) || null, // It hands out an empty key where there is none.
  value: text(value) || null,
  headers: [...(headers || [])].map(pair => pair.map(text)),
  partition,
  timestamp: Number(timestamp),
})
const byPartition = all => Array.from({ length: PARTITIONS }, (_, p) => all.filter(one => one.partition === p).map(content))

/** A consumer that collects what comes. */
class Member {
  static async join(group, topic, mode = MessagesStreamModes.COMMITTED) {
    const member = new Member()
    member.found = []
    member.consumer = new Consumer({ ...common, groupId: group, sessionTimeout: 10_000, heartbeatInterval: 500 })
    member.stream = await member.consumer.consume({
      topics: [topic], mode, fallbackMode: MessagesStreamModes.EARLIEST, autocommit: false, maxWaitTime: 200,
    })
    member.stream.on('data', message => member.found.push(message))
    member.stream.on('error', error => { member.error = error })
    return member
  }

  async has(count) {
    await eventually(() => this.error || this.found.length >= count, `${count} records, ${this.found.length} have come`, 60)
    assert.ok(!this.error, this.error)
  }

  async leave() {
    await this.consumer.close(true)
  }
}

async function roundTrip(name, options) {
  const topic = await newTopic(name)
  const sent = records(300)
  await produce(topic, sent, options)
  const member = await Member.join(unique(name), topic)
  try {
    await member.has(sent.length)
    assert.deepStrictEqual(byPartition(member.found), byPartition(sent))
  } finally {
    await member.leave()
  }
}

async function unknownTopic() {
  await refused(() => produce(unique('nowhere'), records(1), { retries: 1 }), 'Unknown topic')
}

async function offsets() {
  const topic = await newTopic('offsets')
  await produce(topic, records(30))
  assert.deepStrictEqual(await listed(topic, ListOffsetTimestamps.EARLIEST), [0, 0, 0])
  assert.deepStrictEqual(await ends(topic), [10, 10, 10])
  // Partition p has the times p, p + 3, p + 6 and so on.
  assert.deepStrictEqual(await listed(topic, BigInt(1_700_000_000_000 + 15)), [5, 5, 5])
}

async function groupOfTwo() {
  const topic = await newTopic('two')
  const group = unique('two')
  const first = await Member.join(group, topic)
  const second = await Member.join(group, topic)
  try {
    const shared = () => {
      const assigned = [first, second].map(member => (member.consumer.assignments || []).flatMap(one => one.partitions))
      return assigned.every(one => one.length > 0) && assigned.flat().length === PARTITIONS
    }
    await eventually(shared, 'both have partitions', 60)
    await produce(topic, records(90))
    await eventually(() => first.found.length + second.found.length >= 90, 'all is read by the two', 60)
  } finally {
    await Promise.all([first.leave(), second.leave()])
  }
}

async function committedSurvive() {
  const topic = await newTopic('committed')
  const group = unique('committed')
  await produce(topic, records(60))
  const first = await Member.join(group, topic)
  await first.has(60)
  await first.consumer.commit({
    offsets: [0, 1, 2].map(partition => ({ topic, partition, offset: 20n, leaderEpoch: 0 })),
  })
  await first.leave()
  await fetch(process.env.CONTROL + '/kill-and-restart', { method: 'POST' })
  await produce(topic, records(30))
  const second = await Member.join(group, topic)
  try {
    await second.has(30)
    assert.deepStrictEqual(byPartition(second.found), byPartition(records(30)), 'only what was not committed')
  } finally {
    await second.leave()
  }
}

async function admins() {
  const topic = await newTopic('admin', [{ name: 'retention.ms', value: '3600000' }])
  assert.ok((await admin.listTopics()).includes(topic))
  await refused(() => admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }), 'TOPIC_ALREADY_EXISTS')
  await admin.createPartitions({ topics: [{ name: topic, count: 5 }], validateOnly: false })
  const metadata = await admin.metadata({ topics: [topic] })
  await eventually(async () => (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitions.length === 5,
    `five partitions, ${metadata.topics.get(topic).partitions.length} at once`)
  const resources = [{ resourceType: 2, resourceName: topic, configurationKeys: ['retention.ms'] }]
  const [described] = await admin.describeConfigs({ resources })
  assert.strictEqual(described.configs.find(config => config.name === 'retention.ms').value, '3600000')
  await admin.deleteTopics({ topics: [topic] })
  await eventually(async () => !(await admin.listTopics()).includes(topic), 'it is gone')
}

async function groups() {
  const topic = await newTopic('groups')
  const group = unique('groups')
  await produce(topic, records(3))
  const member = await Member.join(group, topic)
  await member.has(3)
  assert.ok((await admin.listGroups()).has(group))
  const described = (await admin.describeGroups({ groups: [group] })).get(group)
  assert.strictEqual(described.members.size, 1)
  await refused(() => admin.deleteGroups({ groups: [group] }), 'NON_EMPTY_GROUP')
  await member.leave()
  await eventually(() => admin.deleteGroups({ groups: [group] }).then(() => true, () => false), 'an empty group can be deleted')
  assert.ok(!(await admin.listGroups()).has(group))
}

const CHECKS = [
  ['acks=all', () => roundTrip('all', { acks: ProduceAcks.ALL })],
  ['acks=1', () => roundTrip('leader', { acks: ProduceAcks.LEADER })],
  // It has zstd only where Node has, from 22 on.
  ...['gzip', 'snappy', 'lz4'].map(codec => [`codec ${codec}`, () => roundTrip(codec, { compression: codec })]),
  ['idempotent producer', () => roundTrip('idempotent', { idempotent: true })],
  ['unknown topic is an error', unknownTopic],
  ['offsets: first, last, by time', offsets],
  ['two members share a topic', groupOfTwo],
  ['committed offsets survive SIGKILL', committedSurvive],
  ['admin: topics, partitions, configs', admins],
  ['admin: list, describe and delete groups', groups],
]

await run(CHECKS)
