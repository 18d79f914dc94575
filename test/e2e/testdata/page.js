// What the scripts that look at the pages of the real program share: a browser, what it complains
// of, and ways to wait.
'use strict'
const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { chromium } = require('playwright-core')

const patience = 120_000 // ms
const problems = [] // of the console

const began = Date.now()
const step = what => process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1)} s: ${what}\n`)

// Notes what the video does, from the first moment of each page: how often it had to wait after
// it had begun to play, and what sizes the picture had.
function observe() {
  window.seen = { playing: false, stalls: [], heights: [] }
  document.addEventListener('playing', () => { window.seen.playing = true }, true)
  document.addEventListener('waiting', ({ target }) => {
    if (window.seen.playing) window.seen.stalls.push(target.currentTime)
  }, true)
  document.addEventListener('resize', ({ target }) => window.seen.heights.push(target.videoHeight), true)
}

// until waits for a condition in the page. It asks by itself: waitForFunction needs eval, which
// the pages forbid.
async function until(tab, condition, wait = patience) {
  const deadline = Date.now() + wait
  for (;;) {
    const value = await tab.evaluate(condition)
    if (value) return value
    if (Date.now() > deadline) assert.fail(`this never came: ${condition}\n${JSON.stringify(await state(tab))}`)
    await sleep(100)
  }
}

// state is for the reader of a failure.
const state = tab => tab.evaluate(() => {
  const video = document.querySelector('video')
  const fact = id => document.getElementById(id)?.textContent
  return {
    time: video?.currentTime, height: video?.videoHeight, buffer: fact('fact-buffer'), latency: fact('fact-latency'),
    bandwidth: fact('fact-bandwidth'), quality: fact('fact-quality'), ...window.seen,
  }
})

const time = "document.querySelector('video').currentTime"

async function plays(tab, seconds) {
  const from = await tab.evaluate(time)
  await until(tab, `${time} > ${from + seconds}`, patience + seconds * 1000)
}

// browse has a page of its own looked at, and fails when the console complained.
async function browse(executablePath, viewport, look) {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  try {
    const tab = await browser.newPage({ viewport })
    tab.setDefaultTimeout(patience)
    tab.on('console', m => { if (['error', 'warning'].includes(m.type())) problems.push(`${tab.url()}: ${m.text()}`) })
    tab.on('pageerror', e => problems.push(`${tab.url()}: ${e}`))
    tab.on('response', r => { if (r.status() >= 400) problems.push(`${r.status()} ${r.url()}`) })
    await tab.addInitScript(observe)
    await look(tab)
    assert.deepEqual(problems, [], 'problems in the console')
  } catch (e) {
    process.stderr.write(`${e.stack}\n${problems.join('\n')}\n`)
    process.exitCode = 1
  } finally {
    await browser.close()
  }
}

module.exports = { browse, plays, state, step, until }
