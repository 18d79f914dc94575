// Opens a page with a player in Chromium and reports how it goes, as JSON lines: the first
// when the picture runs, the second when it has run for some seconds more, the last when it
// has ended.
//
//   node play.js CHROMIUM PROFILE PAGE SECONDS SCREENSHOT
//
// NODE_PATH says where playwright-core is.
'use strict'
const { chromium } = require('playwright-core')

const [executablePath, profile, page, seconds, screenshot] = process.argv.slice(2)
const patience = { timeout: 90_000, polling: 100 }

async function main() {
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width: 640, height: 360 },
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
    ],
  })
  const console = []
  try {
    const tab = await browser.newPage()
    tab.on('console', m => { if (m.type() === 'error') console.push(m.text()) })
    tab.on('pageerror', e => console.push(String(e)))
    const report = async () => {
      const state = await tab.evaluate('state()')
      const problems = await tab.evaluate('problems')
      process.stdout.write(JSON.stringify({ ...state, problems, console }) + '\n')
      return state
    }
    // A fatal error ends the wait: the report tells of it.
    const until = condition => tab.waitForFunction(`(${condition}) || problems.some(p => p.fatal) || video.error`, undefined, patience)
    await tab.goto(page)
    await until('video.currentTime > 0 && video.videoWidth > 0')
    const first = await report()
    await until(`video.currentTime > ${first.time + Number(seconds)}`)
    await report()
    await tab.screenshot({ path: screenshot })
    await until('video.ended')
    await report()
  } finally {
    await browser.close()
  }
}

main().catch(e => {
  process.stderr.write(e.stack + '\n')
  process.exitCode = 1
})
