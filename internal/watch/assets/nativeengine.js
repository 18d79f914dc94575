// Plays a presentation by the browser itself, where Media Source is missing (Safari on older
// phones). It has the face of HlsEngine; the browser chooses the level.

export class NativeEngine {
  static supported(video) { return video.canPlayType('application/vnd.apple.mpegurl') !== '' }

  constructor(video, address, tell) {
    this.video = video
    this.stop = new AbortController()
    const on = (event, f) => video.addEventListener(event, f, { signal: this.stop.signal })
    on('loadedmetadata', () => tell('levels'))
    on('error', () => tell('lost'))
    video.src = address
  }

  get levels() { return [] }
  get level() { return -1 }
  choose() {}
  get bandwidth() { return NaN }

  get date() {
    const start = this.video.getStartDate?.()?.getTime() ?? NaN
    return start + this.video.currentTime * 1000
  }

  get livePosition() {
    const { seekable } = this.video
    return seekable.length > 0 ? seekable.end(seekable.length - 1) - 6 : NaN
  }

  get latency() { return this.livePosition + 6 - this.video.currentTime }

  destroy() {
    this.stop.abort()
    this.video.removeAttribute('src')
    this.video.load()
  }
}
