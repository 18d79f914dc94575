// Plays a presentation by hls.js, which the page loads as a script of its own.
/* global Hls */

const maxWait = 15_000

/**
 * An engine plays one address in one video until it is destroyed. It calls tell(what):
 * 'levels' when they are known or another one plays, 'trouble' while it tries again by
 * itself, 'fine' when that helped, 'over' when the presentation was complete from the
 * start, 'lost' when it has given up. fresh asks for playlists past the browser's cache, which
 * keeps those of a stream that has ended for a minute.
 */
export class HlsEngine {
  static get supported() { return typeof Hls !== 'undefined' && Hls.isSupported() }

  constructor(video, address, tell, fresh) {
    this.tell = tell
    this.failures = 0
    this.recovered = 0 // when the decoder was restarted, and with the other codec
    this.swapped = 0
    const hls = this.hls = new Hls({
      capLevelToPlayerSize: true, // in Auto only: a small window needs no large picture
      backBufferLength: 30,
      liveDurationInfinity: true,
      startFragPrefetch: true,
      xhrSetup: (request, url) => {
        if (!fresh || this.wasLive || !url.endsWith('.m3u8')) return
        request.open('GET', url, true)
        request.setRequestHeader('Cache-Control', 'no-cache')
      },
    })
    hls.on(Hls.Events.MANIFEST_PARSED, () => tell('levels'))
    hls.on(Hls.Events.LEVEL_SWITCHED, () => tell('levels'))
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => {
      if (details.live) this.wasLive = true
      else if (!this.wasLive) tell('over')
    })
    hls.on(Hls.Events.FRAG_BUFFERED, () => {
      if (this.failures === 0) return
      this.failures = 0
      tell('fine')
    })
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) this.repair(data) })
    hls.loadSource(address)
    hls.attachMedia(video)
  }

  repair(data) {
    const now = performance.now()
    if (data.type === Hls.ErrorTypes.NETWORK_ERROR && this.hls.levels.length > 0 && this.failures < 5) {
      this.failures++
      this.tell('trouble')
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.hls.startLoad(), Math.min(500 * 2 ** this.failures, maxWait))
    } else if (data.type === Hls.ErrorTypes.MEDIA_ERROR && now - this.recovered > 5000) {
      this.recovered = now
      this.hls.recoverMediaError()
    } else if (data.type === Hls.ErrorTypes.MEDIA_ERROR && now - this.swapped > 5000) {
      this.swapped = now
      this.hls.swapAudioCodec()
      this.hls.recoverMediaError()
    } else {
      this.tell('lost')
    }
  }

  /** What can be chosen, in the order of the master playlist. */
  get levels() {
    return this.hls.levels.map((level, index) => ({
      index,
      name: decodeURIComponent(level.url[0].split(/[?#]/)[0].split('/').pop().replace(/\.m3u8$/, '')),
      width: level.width, height: level.height, frameRate: level.frameRate, bitrate: level.averageBitrate || level.bitrate,
    }))
  }

  /** The index of the level that plays, -1 before one does. */
  get level() { return this.hls.currentLevel }

  /** -1 lets the bandwidth decide. The picture goes on and changes within seconds. */
  choose(index) { this.hls.nextLevel = index }

  /** In bit/s. */
  get bandwidth() { return this.hls.bandwidthEstimate }

  /** When what is shown now was taken, in ms; NaN when that is not known. */
  get date() { return this.hls.playingDate?.getTime() ?? NaN }

  /** Seconds from the picture to the end of the playlist. */
  get latency() { return this.hls.latency }

  /** Where in the video live is, in seconds; NaN when that is not known. */
  get livePosition() { return this.hls.liveSyncPosition ?? NaN }

  destroy() {
    clearTimeout(this.timer)
    this.tell = () => {}
    this.hls.destroy()
  }
}
