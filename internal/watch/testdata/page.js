// Looks at the pages as a person does, in Chromium, and fails with a reason when something is
// not as it must be.
//
//   node page.js CHROMIUM PAGES CONTROL SHOTS
//
// PAGES and CONTROL are the addresses of the servers in backend_test.go, SHOTS is a folder for
// screenshots. NODE_PATH says where playwright-core is.
'use strict'
const assert = require('node:assert/strict')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [executablePath, pages, control, shots] = process.argv.slice(2)
const desktop = { width: 1280, height: 800 }
const phone = { width: 390, height: 844 }
const patience = 60_000 // ms
const problems = [] // of all consoles

const command = async what => assert.ok((await fetch(`${control}/${what}`, { method: 'POST' })).ok, what)
const step = what => process.stdout.write(`${what}\n`)

async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: desktop, colorScheme: 'light', ...options })
  const tab = await context.newPage()
  tab.setDefaultTimeout(patience)
  tab.on('console', m => { if (['error', 'warning'].includes(m.type())) problems.push(`${tab.url()}: ${m.text()}`) })
  tab.on('pageerror', e => problems.push(`${tab.url()}: ${e}`))
  tab.on('response', r => { if (r.status() >= 400) problems.push(`${r.status()} ${r.url()}`) })
  return tab
}

const close = tab => tab.context().close()
const see = (tab, text) => tab.getByText(text, { exact: false }).filter({ visible: true }).first().waitFor()
const video = (tab, f, arg) => tab.evaluate(`(${f})(document.querySelector('video'), ${JSON.stringify(arg)})`)

// until waits for a condition in the page. It asks by itself: waitForFunction needs eval, which
// the pages forbid.
async function until(tab, condition) {
  const deadline = Date.now() + patience
  while (!await tab.evaluate(condition)) {
    assert.ok(Date.now() < deadline, `this never came: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function fits(tab, what) {
  const [wide, view] = await tab.evaluate('[document.documentElement.scrollWidth, innerWidth]')
  assert.ok(wide <= view, `${what} is ${wide} px wide in a window of ${view} px`)
}

// fingers checks that what is touched is large enough.
async function fingers(tab, what) {
  const small = await tab.evaluate(() => [...document.querySelectorAll('a, button, select, summary')]
    .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
    .filter(([, r]) => r.width > 0 && (r.height < 43.5 || r.width < 43.5)).map(([html, r]) => `${html}: ${r.width}x${r.height}`))
  assert.deepEqual(small, [], `too small for a finger on ${what}`)
}

// shoot takes the page in both sizes and colour schemes.
async function shoot(tab, name) {
  for (const [kind, size] of Object.entries({ desktop, phone })) {
    await tab.setViewportSize(size)
    for (const colorScheme of ['light', 'dark']) {
      await tab.emulateMedia({ colorScheme })
      await tab.waitForTimeout(250) // transitions
      await tab.screenshot({ path: path.join(shots, `${name}-${kind}-${colorScheme}.png`), fullPage: kind === 'phone' })
    }
    if (kind === 'phone') {
      await tab.setViewportSize({ width: 375, height: 667 })
      await fits(tab, name)
      await fingers(tab, name)
    }
  }
  await tab.setViewportSize(desktop)
  await tab.emulateMedia({ colorScheme: 'light' })
}

async function plays(tab) {
  await until(tab, "document.querySelector('video').currentTime > 0")
  const from = await video(tab, v => v.currentTime)
  await until(tab, `document.querySelector('video').currentTime > ${from + 2}`)
}

async function emptyPage(browser) {
  step('the empty page says how to publish')
  const tab = await open(browser)
  await tab.goto(pages)
  await see(tab, 'Nothing is live yet')
  await see(tab, /^rtmp:\/\/127\.0\.0\.1:\d+\/live$/)
  await see(tab, 'lpms -testSignal hello_world')
  await shoot(tab, 'empty')
  const first = tab.locator('.copy-button').first()
  await first.click()
  await see(tab, 'Copied')
  assert.match(await tab.evaluate('navigator.clipboard.readText()'), /^rtmp:\/\/127\.0\.0\.1:\d+\/live$/)

  step('numbers are written as people read them')
  const written = await tab.evaluate(async () => {
    const f = await import(document.querySelector('script').src.replace('list.js', 'format.js'))
    return [
      [0, 4, 64_400, 999_499, 999_500, 9_940_000, 9_960_000, NaN].map(f.bitrate),
      [0, 59.9, 60, 3599, 3600, 86_399, 86_400, NaN, -1].map(f.duration),
      [0, 25, 29.97003, 59.94].map(f.frameRate),
      [[1280, 720, 30], [1280, 720, 59.94], [720, 1280, 30], [0, 0, 0]].map(a => f.shortSize(...a)),
      [0, 1, 1283].map(n => f.count(n, 'viewer')),
      [-0.04, 6.44, NaN].map(f.seconds),
    ]
  })
  assert.deepEqual(written, [
    ['', '1 kb/s', '64 kb/s', '999 kb/s', '1.0 Mb/s', '9.9 Mb/s', '10 Mb/s', ''],
    ['0:00', '0:59', '1:00', '59:59', '1:00:00', '23:59:59', '1 d 0 h', '', ''],
    ['', '25 fps', '29.97 fps', '59.94 fps'],
    ['720p', '720p60', '720p', ''],
    ['0 viewers', '1 viewer', '1,283 viewers'],
    ['0.0 s', '6.4 s', ''],
  ])

  step('copying works without navigator.clipboard')
  await tab.addInitScript("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
  await tab.reload()
  await see(tab, 'lpms -testSignal hello_world')
  const last = tab.locator('.copy-button').last()
  await last.click()
  await see(tab, 'Copied')
  const reader = await tab.context().newPage()
  await reader.goto(`${pages}/streams.json`)
  assert.equal(await reader.evaluate('navigator.clipboard.readText()'), 'lpms -testSignal hello_world')
  await close(tab)
}

async function startsByItself(browser) {
  step('the page of a stream that is not there waits, and starts by itself')
  const tab = await open(browser)
  await tab.goto(`${pages}/watch/show`)
  await see(tab, 'Waiting for the publisher…')
  await shoot(tab, 'waiting')
  await command('publish/show')
  await plays(tab)
  assert.equal(await tab.locator('#notice').isVisible(), false)
  assert.ok(await tab.locator('#unmute').isVisible())
  await close(tab)
}

async function listPage(browser) {
  step('the list shows the stream, and leads to the player')
  const tab = await open(browser)
  await tab.goto(pages)
  const card = tab.locator('.card[data-name=show]')
  await card.locator('img').waitFor()
  await until(tab, "document.querySelector('.meta').textContent.includes('30 fps')")
  assert.match(await card.locator('.meta').textContent(), /^\d+×\d+ · 30 fps · [\d.]+ [kM]b\/s$/)

  step('cards come and stay the same')
  await tab.evaluate("document.querySelector('.card[data-name=show]').mark = 'same'")
  await command('extra')
  await tab.locator('.card[data-name=radio]').waitFor()
  assert.equal(await tab.locator('.card').count(), 7)
  assert.equal(await tab.evaluate("document.querySelector('.card[data-name=show]').mark"), 'same')
  await until(tab, "document.querySelectorAll('.card img').length === 5")
  assert.match(await tab.locator('.card').last().textContent(), /Offline/)
  await shoot(tab, 'list')
  await card.locator('a').click()
  await tab.waitForURL('**/watch/show')
  return tab
}

async function player(tab) {
  step('the player plays')
  await plays(tab)
  await until(tab, "document.querySelector('#quality').options.length === 4")
  await until(tab, "document.querySelector('#fact-latency').textContent.endsWith(' s')")
  const latency = parseFloat(await tab.locator('#fact-latency').textContent())
  assert.ok(latency > 1 && latency < 20, `latency of ${latency} s`)
  assert.match(await tab.locator('#copy-rtmp code').textContent(), /^rtmp:\/\/127\.0\.0\.1:\d+\/show$/)

  step('each quality can be chosen, without a stall')
  await video(tab, v => {
    window.stalls = []
    v.addEventListener('waiting', () => window.stalls.push(v.currentTime))
  })
  const source = (await (await fetch(`${pages}/streams.json`)).json()).streams.find(s => s.name === 'show').height
  for (const [name, height] of [['144p', 144], ['source', source], ['240p', 240], ['144p', 144]]) {
    const from = Date.now()
    await tab.locator('#quality').selectOption(name)
    await until(tab, `document.querySelector('video').videoHeight === ${height}`)
    step(`  ${name} after ${((Date.now() - from) / 1000).toFixed(1)} s, stalls: ${await tab.evaluate('stalls.length')}`)
    await until(tab, `document.querySelector('#fact-quality').textContent === '${height}p'`)
  }
  await tab.locator('#quality').selectOption('auto')
  await until(tab, "document.querySelector('#fact-quality').textContent.startsWith('Auto (')")
  await plays(tab)
  assert.deepEqual(await tab.evaluate('stalls'), [], 'stalls')

  step('it can be paused, and goes live again')
  await tab.locator('#player').hover()
  await tab.locator('#play').click()
  assert.equal(await video(tab, v => v.paused), true)
  await see(tab, 'Go live')
  await tab.locator('#live').click()
  await until(tab, "document.querySelector('#live').dataset.behind === 'no'")
  await tab.keyboard.press('m')
  assert.equal(await video(tab, v => v.muted), false)
  assert.equal(await tab.locator('#unmute').isVisible(), false)
  await plays(tab)
  await tab.locator('#quality').selectOption('source')
  await until(tab, `document.querySelector('video').videoHeight === ${source}`)
  await tab.evaluate('document.activeElement.blur()')
  await shoot(tab, 'player')
  await tab.locator('#copy-hls .copy-button').click()
  await see(tab, 'Copied')
  assert.equal(await tab.evaluate('navigator.clipboard.readText()'), `${pages}/stream/show.m3u8`)
}

async function disturbance(browser) {
  step('it says that the server cannot be reached, and goes on when it can')
  const tab = await open(browser)
  await tab.goto(`${pages}/watch/show`)
  await plays(tab)
  const before = problems.length
  await tab.context().setOffline(true)
  await see(tab, 'The server cannot be reached')
  await tab.context().setOffline(false)
  await until(tab, "document.querySelector('#notice').hidden")
  await plays(tab)
  problems.splice(before) // that requests fail is written to the console by the browser
  await close(tab)
}

async function frame(browser) {
  step('the player stands in a frame of another site')
  const tab = await open(browser)
  await tab.goto(`${control}/frame/show`)
  const inner = tab.frames().find(f => f.url().includes('embed=1')) ?? await tab.waitForEvent('frameattached')
  await until(inner, "document.querySelector('video')?.currentTime > 0.5")
  await tab.screenshot({ path: path.join(shots, 'frame.png') })
  await close(tab)
}

async function soundOnly(browser) {
  step('a stream of sound is calm')
  const tab = await open(browser)
  await command('sound/tone')
  await tab.goto(`${pages}/watch/tone`)
  await plays(tab)
  await see(tab, 'Sound only')
  await shoot(tab, 'sound')
  await command('stop/tone')
  await close(tab)
}

async function comingBack(tab) {
  step('a publisher that was lost is waited for')
  const time = () => video(tab, v => v.currentTime)
  const before = await time()
  await command('kill/show')
  await see(tab, 'Waiting for the publisher…')
  await shoot(tab, 'lost')
  assert.ok(await time() > before)
  const last = await time()
  await command('publish/show')
  await until(tab, "document.querySelector('#notice').hidden")
  await plays(tab)
  assert.ok(await time() > last, 'the time goes on')
}

async function ending(tab) {
  step('the end is said in words, and the stream is played again when it comes back')
  await command('stop/show')
  await see(tab, 'The stream has ended')
  await shoot(tab, 'ended')
  await command('publish/show')
  await until(tab, "document.querySelector('#notice').hidden && document.querySelector('#player').dataset.state === 'playing'")
  await plays(tab)
  await close(tab)
}

async function main() {
  const browser = await chromium.launch({
    executablePath, headless: true,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  const withClipboard = { newContext: async o => {
    const context = await browser.newContext(o)
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: pages })
    return context
  } }
  try {
    await emptyPage(withClipboard)
    await startsByItself(withClipboard)
    const tab = await listPage(withClipboard)
    await player(tab)
    await disturbance(withClipboard)
    await frame(withClipboard)
    await soundOnly(withClipboard)
    await comingBack(tab)
    await ending(tab)
    assert.deepEqual(problems, [], 'problems in the console')
  } finally {
    if (problems.length > 0) process.stdout.write(`console:\n${problems.join('\n')}\n`)
    await browser.close()
  }
}

main().catch(e => {
  process.stderr.write(`${e.stack}\n`)
  process.exitCode = 1
})
