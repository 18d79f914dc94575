// A stream in the list.
import * as format from './format.js'
import { uptime } from './feed.js'

const pictureEvery = 3000

export class Card {
  /** onScreen tells the card whether it can be seen; see `visible`. */
  constructor(template, name) {
    this.element = template.content.cloneNode(true).firstElementChild
    this.element.dataset.name = name
    this.visible = true
    this.name = name
    this.shown = 0 // the time of the picture that is shown
    this.asked = 0
    const find = selector => this.element.querySelector(selector)
    this.parts = {
      link: find('a'), picture: find('.picture'), badge: find('.badge'), uptime: find('.uptime'),
      viewers: find('.viewers'), name: find('.name'), meta: find('.meta'),
    }
    this.parts.link.href = `/watch/${name}`
    this.parts.name.textContent = name
    this.parts.name.title = name
  }

  update(stream) {
    this.stream = stream
    const { badge, viewers, meta, link } = this.parts
    const people = stream.viewers.hls + stream.viewers.rtmp
    this.element.dataset.live = stream.live ? 'yes' : 'no'
    this.element.dataset.sound = soundOnly(stream) ? 'yes' : 'no'
    badge.dataset.live = this.element.dataset.live
    set(badge, stream.live ? 'Live' : 'Offline')
    set(viewers, String(people))
    set(meta, format.line(
      format.size(stream.width, stream.height) || (soundOnly(stream) ? 'Sound only' : ''),
      format.frameRate(stream.frameRate), format.bitrate(stream.bitrate)) || 'Starting…')
    link.setAttribute('aria-label', format.line(
      `Watch ${stream.name}`, stream.live ? 'live' : 'offline', format.count(people, 'viewer'), meta.textContent))
    this.tick()
    this.picture()
  }

  /** Once a second. */
  tick() {
    set(this.parts.uptime, format.duration(uptime(this.stream)))
  }

  // The next picture is loaded and decoded before it takes the place of the last.
  async picture() {
    const at = this.stream.thumbnail
    if (!at || at === this.shown || !this.visible || Date.now() - this.asked < pictureEvery - 500) return
    this.asked = Date.now()
    const image = new Image()
    image.alt = ''
    image.decoding = 'async'
    image.src = `/thumbnail/${this.name}.jpg?t=${at}`
    try {
      await image.decode()
    } catch {
      return // it is gone, or no picture: the last one stays
    }
    this.shown = at
    const old = this.parts.picture.querySelector('img')
    if (old) old.replaceWith(image)
    else this.parts.picture.querySelector('.picture-none').after(image)
  }
}

const soundOnly = stream => stream.codecs && !/avc|hvc|hev|vp0|av01/.test(stream.codecs)

/** Texts are touched only when they change, so that nothing is laid out for nothing. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text
}
