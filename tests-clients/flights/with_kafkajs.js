'use strict'
// The flights by kafkajs: `produce`, `consume` in a group, `read` from a time or from committed offsets
// to the end. Lines of the input and of the journal as `client.py` says.
//
// kafkajs's idempotent producer keeps its promise only to an application that is careful:
// - one send at a time (maxInFlightRequests: 1, and each send awaited): it numbers batches when they
//   are sent, so that two at once to a partition could bear the same sequence;
// - its own retries must outlast the broker's absence: they repeat the same batch with the same
//   sequence, which the broker recognises. A send that has failed for good must not be repeated by the
//   application, since the partitions of it that did succeed would be written twice: we stop instead.

const crypto = require('crypto')
const fs = require('fs')
const path = require('path')
const readline = require('readline')

const [mode, nodeModules, bootstrap, topic, ...rest] = process.argv.slice(2)
const { Kafka, CompressionTypes, logLevel } = require(path.join(nodeModules, 'kafkajs'))

const COMMIT_EVERY_MS = 1000
const SEND_RECORDS = 1000
const kafka = new Kafka({
  brokers: [bootstrap],
  clientId: 'flights',
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 1000 },
})

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function produce(input, perSecond) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
  await producer.connect()
  const started = Date.now()
  const size = Number(perSecond) ? Math.min(SEND_RECORDS, Math.ceil(perSecond / 10)) : SEND_RECORDS
  let acked = 0
  let messages = []
  const send = async () => {
    await producer.send({ topic, acks: -1, compression: CompressionTypes.GZIP, messages })
    acked += messages.length
    messages = []
    console.log(`acked ${acked}`)
    if (Number(perSecond)) await sleep(started + (acked * 1000) / perSecond - Date.now())
  }
  for await (const line of readline.createInterface({ input: fs.createReadStream(input), crlfDelay: Infinity })) {
    const [, key, timestamp, value] = line.split('\t')
    messages.push({ key, timestamp, value })
    if (messages.length === size) await send()
  }
  if (messages.length) await send()
  await producer.disconnect()
}

class Journal {
  constructor(file) {
    this.file = fs.openSync(file, 'w')
    this.lines = []
    this.next = new Map()
  }

  assigned(partition) {
    this.next.delete(partition)
    this.lines.push(`A ${Date.now()} ${partition}\n`)
  }

  record(partition, { offset, key, timestamp, value }) {
    const digest = crypto.createHash('md5').update(key).update(`\0${timestamp}\0`).update(value).digest('hex')
    this.lines.push(`R ${partition} ${offset} ${digest.slice(0, 16)}\n`)
    this.next.set(partition, BigInt(offset) + 1n)
    if (this.lines.length > 10000) this.flush()
  }

  note(event, offsets) {
    const time = Date.now()
    for (const [partition, offset] of offsets) this.lines.push(`${event} ${time} ${partition} ${offset}\n`)
  }

  flush() {
    fs.writeSync(this.file, this.lines.join(''))
    this.lines = []
  }
}

async function consume(group, journalFile, stopFile) {
  const journal = new Journal(journalFile)
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 15000, heartbeatInterval: 1000, allowAutoTopicCreation: false })
  let committedAt = Date.now()
  const commit = async () => {
    const offsets = [...journal.next]
    if (!offsets.length) return
    committedAt = Date.now()
    journal.note('T', offsets)
    try {
      await consumer.commitOffsets(offsets.map(([partition, offset]) => ({ topic, partition, offset: String(offset) })))
    } catch (error) {
      // The broker is down, or the group moves on: those records are delivered once more.
      console.log('commit failed:', error.message)
    }
  }
  // Not when commitOffsets returns: a consumer that is just being restarted returns from it without having committed.
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    for (const { partitions } of payload.topics) journal.note('C', partitions.map(p => [p.partition, p.offset]))
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    journal.next.clear()
    for (const partition of payload.memberAssignment[topic] || []) journal.assigned(partition)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      if (!isRunning() || isStale()) return
      for (const message of batch.messages) journal.record(batch.partition, message)
      // Resolved before anything that can throw: a batch that was delivered must not come again by itself.
      resolveOffset(batch.lastOffset())
      if (Date.now() - committedAt > COMMIT_EVERY_MS) await commit()
      await heartbeat()
    },
  })
  while (!fs.existsSync(stopFile)) {
    await sleep(200)
    if (Date.now() - committedAt > COMMIT_EVERY_MS) await commit()
  }
  await consumer.disconnect()
  journal.flush()
}

/** From `time MS`, or from what group `committed NAME` has committed (`half` commits half-way first). */
async function read(from, argument, journalFile) {
  const journal = new Journal(journalFile)
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(p => [p.partition, BigInt(p.high)]))
  let starts
  if (from === 'time') {
    starts = await admin.fetchTopicOffsetsByTimestamp(topic, Number(argument))
  } else {
    const half = [...ends].map(([partition, end]) => ({ partition, offset: String(end / 2n) }))
    await admin.setOffsets({ groupId: argument, topic, partitions: half })
    starts = (await admin.fetchOffsets({ groupId: argument, topics: [topic] }))[0].partitions
  }
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: `${argument}-reads`, allowAutoTopicCreation: false })
  const left = new Map(starts.map(s => [s.partition, ends.get(s.partition) - BigInt(s.offset)]))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  for (const { partition } of starts) journal.assigned(partition)
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, isStale, isRunning }) => {
      // A batch fetched before the seek took effect is not what we asked for.
      if (isStale() || !isRunning()) return
      for (const message of batch.messages) {
        journal.record(batch.partition, message)
        left.set(batch.partition, left.get(batch.partition) - 1n)
      }
    },
  })
  for (const { partition, offset } of starts) consumer.seek({ topic, partition, offset })
  while ([...left.values()].some(count => count > 0n)) await sleep(100)
  await consumer.disconnect()
  journal.flush()
}

const modes = { produce, consume, read }
modes[mode](...rest).then(
  () => process.exit(0),
  error => {
    console.error(error)
    process.exit(1)
  },
)
