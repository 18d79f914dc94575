// The player: it starts when the stream is there, goes on through trouble, says what it does.
import { playlist } from './addresses.js'
import { serverNow, uptime } from './feed.js'
import { HlsEngine } from './hlsengine.js'
import { NativeEngine } from './nativeengine.js'

const settle = 6000 // ms that a new stream has for its first renditions before it is played
const patience = 15_000 // ms between attempts, at most
const stuck = 30_000 // ms without a picture after which the player begins anew
const youth = 12 // s of a stream in which there is little to load yet
const preroll = 3.5 // s of media that are loaded then before it is played
const prerollWait = 5000 // ms
const stallShown = 600 // ms after which a stall is worth a word
const clockTrusted = 120 // s of latency beyond which a date cannot be right

/**
 * Player plays the stream of a name in a video. `state` is one of
 *   waiting     nobody publishes
 *   connecting  the first picture is not there yet
 *   playing     (or paused by the person)
 *   stalled     the next segment is late
 *   ended       the publisher has ended the stream
 *   retrying    something failed and is tried again
 *   blocked     the browser wants a click first
 *   unsupported the browser cannot play HLS
 * Events: 'state', and 'levels' when the choice or what plays has changed.
 */
export class Player extends EventTarget {
  constructor(video, still, name) {
    super()
    this.video = video
    this.still = still
    this.name = name
    this.state = 'connecting'
    this.stream = null // of the feed, null when it is not there
    this.engine = null
    this.choice = 'auto' // or the name of a rendition
    this.failures = 0
    this.readySince = 0
    video.addEventListener('playing', () => this.onPlaying())
    video.addEventListener('waiting', () => this.onWaiting())
    video.addEventListener('timeupdate', () => this.onTime())
    video.addEventListener('progress', () => this.roll())
    video.addEventListener('ended', () => this.finish())
  }

  /** Tells what the feed says of the stream, null when it is not there. */
  update(stream) {
    this.stream = stream
    if (this.engine) {
      const idle = this.state === 'connecting' || this.state === 'stalled'
      if (idle && stream?.live && performance.now() - this.entered > stuck) this.retry()
      else this.findMore()
      return
    }
    if (this.state === 'unsupported' || this.timer) return
    if (!this.ready()) {
      if (this.state !== 'ended') this.enter(stream?.live ? 'connecting' : 'waiting')
      return
    }
    this.start()
  }

  // ready reports whether the stream can be played. hls.js reads the list of renditions only
  // once, so a stream that has just begun gets a moment to complete it.
  ready() {
    const s = this.stream
    if (!s?.live || s.since === this.endedSince) {
      this.readySince = 0
      return false
    }
    if (s.renditions.length === 0) return true
    if (!s.renditions.some(r => r.state === 'live')) return false
    this.readySince ||= performance.now()
    const incomplete = s.renditions.some(r => r.state === 'waiting')
    return !(uptime(s) < youth && incomplete) || performance.now() - this.readySince > settle
  }

  start() {
    const Engine = HlsEngine.supported ? HlsEngine : NativeEngine.supported(this.video) ? NativeEngine : null
    if (!Engine) {
      this.enter('unsupported')
      return
    }
    this.since = this.stream?.since
    this.started = this.entered = performance.now()
    if (this.state !== 'playing') this.enter('connecting')
    const engine = this.engine = new Engine(this.video, playlist(this.name), what => {
      if (this.engine === engine) this.onEngine(what)
    }, this.fresh)
    this.held = uptime(this.stream) < youth
    if (this.held) this.rollTimer = setTimeout(() => this.roll(true), prerollWait)
    else this.play()
  }

  // roll plays a stream that has just begun when a second segment is there: with only one, the
  // picture would stop until it comes.
  roll(now) {
    if (!this.held || !this.engine || !(now || this.buffered > preroll)) return
    this.held = false
    clearTimeout(this.rollTimer)
    this.play()
  }

  play() {
    this.video.play().catch(error => {
      if (error.name === 'NotAllowedError') this.enter('blocked')
    })
  }

  onEngine(what) {
    switch (what) {
      case 'levels':
        if (!this.chosen) {
          this.chosen = true
          if (this.choice !== 'auto') this.choose(this.choice)
        }
        this.dispatchEvent(new Event('levels'))
        break
      case 'trouble':
        this.troubled = true
        break
      case 'fine':
        this.troubled = false
        this.failures = 0
        break
      case 'over':
        this.startOver()
        break
      case 'lost':
        this.retry()
    }
  }

  onPlaying() {
    clearTimeout(this.stallTimer)
    this.still.hidden = true
    this.failures = 0
    this.enter('playing')
  }

  onWaiting() {
    clearTimeout(this.stallTimer)
    if (this.state === 'playing') this.stallTimer = setTimeout(() => this.enter('stalled'), stallShown)
  }

  onTime() {
    if (this.state === 'stalled' && this.video.readyState > 2 && !this.video.paused) this.onPlaying()
  }

  // finish is the end of the stream. A publisher that comes back is played again.
  finish() {
    this.endedSince = this.since
    this.fresh = true
    this.freeze()
    this.destroy()
    this.enter('ended')
  }

  // startOver is for a stream that is live again, of which only the old end can be loaded yet.
  startOver() {
    this.fresh = true
    this.destroy()
    this.later(2000)
  }

  later(ms) {
    this.timer = setTimeout(() => {
      this.timer = 0
      this.update(this.stream)
    }, ms)
  }

  retry() {
    this.freeze()
    this.destroy()
    if (!this.stream?.live) {
      this.fresh = true
      this.enter('ended')
      return
    }
    this.enter('retrying')
    this.later(Math.min(1000 * 2 ** this.failures++, patience))
  }

  destroy() {
    clearTimeout(this.stallTimer)
    clearTimeout(this.rollTimer)
    this.engine?.destroy()
    this.engine = null
    this.chosen = this.troubled = false
    this.readySince = 0
    this.dispatchEvent(new Event('levels'))
  }

  // findMore reads the master playlist again when renditions have come that it did not have.
  findMore() {
    const have = new Set(this.engine.levels.map(l => l.name))
    const more = this.stream?.renditions.some(r => (r.state === 'live' || r.state === 'resting') && !have.has(r.name))
    const calm = this.state === 'playing' && have.size > 0 && performance.now() - this.started > 30_000
    if (!more || !calm || this.video.paused) {
      this.more = 0
      return
    }
    this.more = (this.more ?? 0) + 1
    if (this.more < 3) return
    this.more = 0
    this.freeze()
    this.destroy()
    this.start()
  }

  // freeze keeps the last picture while the video has none.
  freeze() {
    const { video, still } = this
    if (!(video.videoWidth > 0) || video.readyState < 2) return
    still.width = video.videoWidth
    still.height = video.videoHeight
    still.getContext('2d').drawImage(video, 0, 0)
    still.hidden = false
  }

  enter(state) {
    if (this.state === state) return
    this.state = state
    this.entered = performance.now()
    this.dispatchEvent(new Event('state'))
  }

  /** what is 'auto' or the name of a rendition; one that is not there is auto. */
  choose(what) {
    const level = this.engine?.levels.find(l => l.name === what)
    this.choice = level ? what : 'auto'
    this.engine?.choose(level ? level.index : -1)
    this.dispatchEvent(new Event('levels'))
  }

  get levels() { return this.engine?.levels ?? [] }

  /** The level that plays, or undefined. */
  get level() { return this.levels.find(l => l.index === this.engine.level) }

  /** Seconds between the publisher and the picture; NaN when that is not known. */
  get latency() {
    if (!this.engine || this.video.readyState < 2) return NaN
    const byDate = (serverNow() - this.engine.date) / 1000
    return byDate >= 0 && byDate < clockTrusted ? byDate : this.engine.latency
  }

  /** Seconds of media that are loaded. */
  get buffered() {
    const { buffered, currentTime } = this.video
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) return buffered.end(i) - currentTime
    }
    return this.engine ? 0 : NaN
  }

  /** Whether the person could be nearer to live. */
  get behind() {
    if (!this.engine) return false
    return this.video.paused || this.engine.livePosition - this.video.currentTime > 4
  }

  goLive() {
    const position = this.engine?.livePosition
    if (position > this.video.currentTime + 1) this.video.currentTime = position
    this.play()
  }
}
