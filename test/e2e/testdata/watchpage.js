// Looks at the pages of the real program in Chromium: the list leads to the player, which plays,
// and changes the quality by itself when the network becomes slow, and when it is fast again. It
// fails with the reason when something is not as it must be.
//
//   node watchpage.js CHROMIUM PAGES NAME SHOTS
//
// PAGES is the address of the list, NAME that of the stream, SHOTS a folder for screenshots, or
// empty. NODE_PATH says where playwright-core is.
'use strict'
const assert = require('node:assert/strict')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { chromium } = require('playwright-core')

const [executablePath, pages, name, shots] = process.argv.slice(2)
const desktop = { width: 1280, height: 800 }
const phone = { width: 390, height: 844 }
const top = 720 // the height of the source
const slow = 60_000 // bytes a second: less than the source has
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
async function until(tab, condition) {
  const deadline = Date.now() + patience
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

const height = "document.querySelector('video').videoHeight"
const time = "document.querySelector('video').currentTime"

async function plays(tab, seconds) {
  const from = await tab.evaluate(time)
  await until(tab, `${time} > ${from + seconds}`)
}

async function shoot(tab, what) {
  if (!shots) return
  for (const [kind, size] of Object.entries({ phone, desktop })) {
    await tab.setViewportSize(size)
    await tab.screenshot({ path: path.join(shots, `real-${what}-${kind}.png`) })
  }
}

async function list(tab) {
  await tab.goto(pages)
  const card = `.card[data-name="${name}"]`
  await until(tab, `document.querySelector('${card} img')?.naturalWidth > 0`)
  await until(tab, `document.querySelector('${card} .meta').textContent.includes('1280×720')`)
  step('the list shows the stream with a picture')
  await shoot(tab, 'list')
  await tab.locator(`${card} a`).click()
  await tab.waitForURL(`**/watch/${name}`)
}

async function switches(tab) {
  await until(tab, `${height} === ${top}`)
  await plays(tab, 2)
  step(`it plays: ${JSON.stringify(await state(tab))}`)
  const network = await tab.context().newCDPSession(tab)
  const throttle = bytes => network.send('Network.emulateNetworkConditions',
    { offline: false, latency: 20, downloadThroughput: bytes, uploadThroughput: bytes })
  await network.send('Network.enable')
  await throttle(slow)
  step('the network is slow')
  await until(tab, `${height} < ${top}`)
  step(`another quality: ${JSON.stringify(await state(tab))}`)
  await plays(tab, 6)
  await throttle(-1)
  step(`the network is fast: ${JSON.stringify(await state(tab))}`)
  await until(tab, `${height} === ${top}`)
  step(`the first quality is back: ${JSON.stringify(await state(tab))}`)
  await plays(tab, 2)
  assert.deepEqual(await tab.evaluate('seen.stalls'), [], 'the times at which the picture stopped')
}

async function main() {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  try {
    const tab = await browser.newPage({ viewport: desktop })
    tab.setDefaultTimeout(patience)
    tab.on('console', m => { if (['error', 'warning'].includes(m.type())) problems.push(`${tab.url()}: ${m.text()}`) })
    tab.on('pageerror', e => problems.push(`${tab.url()}: ${e}`))
    tab.on('response', r => { if (r.status() >= 400) problems.push(`${r.status()} ${r.url()}`) })
    await tab.addInitScript(observe)
    await list(tab)
    await switches(tab)
    await shoot(tab, 'watch') // a small window wants a small picture, so this comes last
    assert.deepEqual(problems, [], 'problems in the console')
  } finally {
    await browser.close()
  }
}

main().catch(e => {
  process.stderr.write(`${e.stack}\n${problems.join('\n')}\n`)
  process.exitCode = 1
})
