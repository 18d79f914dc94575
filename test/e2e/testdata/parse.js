// Reads the master and the media playlists of a live stream once a second with hls-parser in
// strict mode, and fails with the reason at the first thing that is not as it must be. At the
// end it writes what it has seen, as a line of JSON.
//
//   node parse.js MASTER SECONDS
//
// NODE_PATH says where hls-parser is.
'use strict'
const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const HLS = require('hls-parser')

HLS.setOptions({ strictMode: true })

const [master, seconds] = process.argv.slice(2)
const every = 1000 // ms
const patience = 30_000 // ms for an answer
const renditions = new Map() // by URI: what its last playlist said
const segments = new Map() // by media sequence number: what the first rendition said, and who did
let ladder // the renditions, as the first master playlist lists them
let target // of all playlists
let breaks // the discontinuity sequence, of all playlists
let playlists = 0

async function read(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(patience) })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${url}: ${text}`)
  try {
    const list = HLS.parse(text)
    playlists++
    return list
  } catch (e) {
    throw new Error(`${url}: ${e.message}\n${text}`)
  }
}

// describe is what must stay the same of a variant.
const describe = ({ uri, codecs, resolution, frameRate }) => ({ uri, codecs, resolution, frameRate })

function checkMaster(list) {
  assert.ok(list.isMasterPlaylist, master)
  assert.ok(list.independentSegments, `${master}: EXT-X-INDEPENDENT-SEGMENTS`)
  for (const v of list.variants) {
    assert.ok(v.codecs && v.resolution && v.frameRate > 0, `${v.uri}: CODECS, RESOLUTION and FRAME-RATE`)
    assert.ok(v.averageBandwidth > 0 && v.averageBandwidth <= v.bandwidth, `${v.uri}: AVERAGE-BANDWIDTH and BANDWIDTH`)
  }
  const now = list.variants.map(describe)
  ladder ??= now
  assert.deepEqual(now, ladder, 'the renditions of the master playlist')
}

function checkMedia(uri, list) {
  assert.ok(!list.isMasterPlaylist && !list.endlist && list.segments.length > 0, `${uri}: a live media playlist with segments`)
  target ??= list.targetDuration
  assert.equal(list.targetDuration, target, `${uri}: TARGETDURATION, of all renditions and for ever`)
  breaks ??= list.discontinuitySequenceBase
  assert.equal(list.discontinuitySequenceBase, breaks, `${uri}: DISCONTINUITY-SEQUENCE, of all renditions and for ever`)
  const last = renditions.get(uri)
  assert.ok(!last || list.mediaSequenceBase >= last, `${uri}: the media sequence went back from ${last} to ${list.mediaSequenceBase}`)
  renditions.set(uri, list.mediaSequenceBase)
  for (const s of list.segments) checkSegment(uri, s)
}

function checkSegment(uri, s) {
  const number = s.mediaSequenceNumber
  const where = `${uri}: segment ${number}`
  assert.ok(s.programDateTime instanceof Date, `${where}: PROGRAM-DATE-TIME`)
  assert.ok(!s.discontinuity && s.discontinuitySequence === breaks, `${where}: there is no discontinuity`)
  const said = { duration: Math.round(s.duration * 1000), date: s.programDateTime.getTime() }
  const known = segments.get(number) ?? { said, by: new Set() }
  segments.set(number, known)
  assert.deepEqual(said, known.said, `${where}: EXTINF and PROGRAM-DATE-TIME in ms, as ${[...known.by]} said`)
  known.by.add(uri)
}

async function main() {
  const end = Date.now() + seconds * 1000
  for (let next = Date.now(); next < end; next = Math.max(next + every, Date.now())) {
    await sleep(next - Date.now())
    checkMaster(await read(master))
    await Promise.all(ladder.map(async ({ uri }) => checkMedia(uri, await read(new URL(uri, master)))))
  }
  const compared = [...segments.values()].filter(s => s.by.size === ladder.length).length
  process.stdout.write(JSON.stringify({ playlists, segments: segments.size, compared }) + '\n')
}

main().catch(e => {
  process.stderr.write(`${e.stack}\n`)
  process.exitCode = 1
})
