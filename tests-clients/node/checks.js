'use strict'
// Runs named checks and prints one line for each, as ../python/checks.py does; knows no client.

const assert = require('assert')
const crypto = require('crypto')

const CHECK_SECONDS_MAX = 120
const RUN = crypto.randomBytes(3).toString('hex')

/** A topic or group name of this run only. */
const unique = name => `${name}-${RUN}`
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function eventually(condition, what, secondsMax = 30) {
  const deadline = Date.now() + secondsMax * 1000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within ${secondsMax} s: ${what}`)
    await sleep(50)
  }
}

/** Runs [name, check] one after the other, and ends the program. */
async function run(checks) {
  let failed = false
  for (const [name, check] of checks) {
    if ((process.env.NOT_RUN || '').split(',').includes(name)) {
      console.log(`ok - ${name} # SKIP left out by the table`)
      continue
    }
    let timer
    const tooLong = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${CHECK_SECONDS_MAX} s`)), CHECK_SECONDS_MAX * 1000)
    })
    try {
      await Promise.race([check(), tooLong])
      console.log(`ok - ${name}`)
    } catch (error) {
      failed = true
      console.error(error)
      console.log(`not ok - ${name}: ${error.name}: ${String(error.message).replace(/\s+/g, ' ').slice(0, 300)}`)
    }
    clearTimeout(timer)
  }
  console.log('all checks done')
  process.exit(failed ? 1 : 0)
}

module.exports = { eventually, run, sleep, unique }
