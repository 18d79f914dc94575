// The page of one stream.
import * as addresses from './addresses.js'
import { set } from './card.js'
import { controls, showLive } from './controls.js'
import { copyButtons } from './copy.js'
import { showFacts } from './facts.js'
import { follow, uptime } from './feed.js'
import * as format from './format.js'
import { Player } from './player.js'
import { quality } from './quality.js'
import { words } from './words.js'

const byId = id => document.getElementById(id)
const { name } = document.body.dataset
const embedded = document.body.classList.contains('embed')
const root = byId('player')
const video = byId('video')
video.muted = true
const player = new Player(video, byId('still'), name)
let reachable = true

function showState() {
  root.dataset.state = player.state
  const say = words(player, reachable)
  byId('notice').hidden = !say
  if (say) {
    set(byId('notice-title'), say.title)
    set(byId('notice-text'), say.text)
    byId('notice').dataset.calm = say.calm ? 'yes' : 'no'
  }
  const sound = video.readyState > 1 && video.videoWidth === 0 && (player.state === 'playing' || player.state === 'stalled')
  byId('sound-only').hidden = !sound
}

function showStream(stream) {
  const badge = byId('badge')
  badge.dataset.live = stream?.live ? 'yes' : 'no'
  set(badge, stream?.live ? 'Live' : 'Offline')
  set(byId('viewers'), stream?.live ? format.count(stream.viewers.hls + stream.viewers.rtmp, 'viewer') : '')
  set(byId('bitrate'), stream?.live ? format.bitrate(stream.bitrate) : '')
  document.title = `${stream?.live ? '● ' : ''}${name} · LPMS`
}

function showAddresses(port) {
  set(byId('copy-hls').querySelector('code'), addresses.hls(name))
  set(byId('copy-embed').querySelector('code'), addresses.frame(name))
  byId('rtmp').hidden = !port
  if (port) set(byId('copy-rtmp').querySelector('code'), addresses.rtmp(name, port))
}

function onFeed(feed) {
  reachable = true
  player.update(feed.streams.find(s => s.name === name) ?? null)
  showState()
  if (embedded) return
  set(byId('version'), feed.version ?? '')
  showStream(player.stream)
  showAddresses(feed.rtmpPort)
}

function onSecond() {
  showLive(player, byId('live'))
  if (embedded) return
  const time = player.stream ? format.duration(uptime(player.stream)) : ''
  set(byId('uptime'), time && `live for ${time}`)
  showFacts(player)
}

controls(player, root)
quality(player, byId('quality'))
copyButtons()
player.addEventListener('state', showState)
for (const event of ['loadeddata', 'resize']) video.addEventListener(event, showState)
if (!embedded) showAddresses(0)
follow({ onFeed, onTrouble: () => { reachable = false; showState() }, whenVisible: false })
setInterval(onSecond, 500)
