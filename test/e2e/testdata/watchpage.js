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
const { browse, plays, state, step, until } = require('./page.js')

const [executablePath, pages, name, shots] = process.argv.slice(2)
const desktop = { width: 1280, height: 800 }
const phone = { width: 390, height: 844 }
const top = 720 // the height of the source
const slow = 60_000 // bytes a second: less than the source has
const height = "document.querySelector('video').videoHeight"

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

browse(executablePath, desktop, async tab => {
  await list(tab)
  await switches(tab)
  await shoot(tab, 'watch') // a small window wants a small picture, so this comes last
})
