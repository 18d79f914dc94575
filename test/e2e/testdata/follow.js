// Watches a stream for so many seconds with the page's player (hls.js) in Chromium, in the least
// quality, and fails when it does not play on or the console complains. At the end it says how
// often the picture had to wait.
//
//   node follow.js CHROMIUM PAGE SECONDS
//
// PAGE is the address of the player, NODE_PATH says where playwright-core is.
'use strict'
const { browse, plays, state, step, until } = require('./page.js')

const [executablePath, page, seconds] = process.argv.slice(2)
const choice = "document.getElementById('quality')"

browse(executablePath, { width: 640, height: 480 }, async tab => {
  await tab.goto(page)
  await until(tab, `!${choice}.disabled && ${choice}.options.length > 2`)
  await tab.selectOption('#quality', { index: 1 })
  await plays(tab, Number(seconds))
  step(`hls.js played: ${JSON.stringify(await state(tab))}`)
})
