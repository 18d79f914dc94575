// The panel that says how the playback goes.
import { set } from './card.js'
import * as format from './format.js'
import { playing } from './quality.js'

export function showFacts(player) {
  const { video, engine } = player
  const show = (id, text) => set(document.getElementById(`fact-${id}`), text || '–')
  const running = engine && video.readyState > 1
  document.getElementById('playback-panel').hidden = !engine
  const sound = running && video.videoWidth === 0
  show('picture', sound ? 'none' : running && format.line(format.size(video.videoWidth, video.videoHeight), format.frameRate(player.level?.frameRate)))
  show('quality', running && playing(player))
  show('latency', running && player.state !== 'stalled' && format.seconds(player.latency))
  show('buffer', running && format.seconds(player.buffered))
  show('bandwidth', running && format.bitrate(engine.bandwidth))
  const frames = video.getVideoPlaybackQuality?.()
  show('dropped', running && frames?.totalVideoFrames > 0 &&
    `${frames.droppedVideoFrames.toLocaleString('en')} of ${frames.totalVideoFrames.toLocaleString('en')}`)
}
