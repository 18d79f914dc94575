// Numbers as people read them. What is not known (0, NaN, undefined) is an empty text.

/** bits per second: "830 kb/s", "2.4 Mb/s" */
export function bitrate(bits) {
  if (!(bits > 0)) return ''
  if (bits < 999_500) return `${Math.max(1, Math.round(bits / 1000))} kb/s`
  return `${(bits / 1e6).toFixed(bits < 9.95e6 ? 1 : 0)} Mb/s`
}

/** seconds that have passed: "0:07", "12:34", "1:02:03", "3 d 4 h" */
export function duration(seconds) {
  if (!(seconds >= 0)) return ''
  const s = Math.floor(seconds)
  const two = n => String(n).padStart(2, '0')
  if (s >= 86_400) return `${Math.floor(s / 86_400)} d ${Math.floor(s / 3600) % 24} h`
  if (s >= 3600) return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
  return `${Math.floor(s / 60)}:${two(s % 60)}`
}

/** "6.4 s" */
export function seconds(s) {
  return Number.isFinite(s) ? `${Math.max(0, s).toFixed(1)} s` : ''
}

/** "1280×720" */
export function size(width, height) {
  return width > 0 && height > 0 ? `${width}×${height}` : ''
}

/** "30 fps", "29.97 fps" */
export function frameRate(fps) {
  return fps > 0 ? `${Number(fps.toFixed(2))} fps` : ''
}

/** The usual short name of a size, which is that of the shorter side: "720p", "720p60". */
export function shortSize(width, height, fps) {
  if (!(width > 0 && height > 0)) return ''
  return `${Math.min(width, height)}p${fps > 33 ? Math.round(fps) : ''}`
}

/** What of the parts is known, as one line. */
export function line(...parts) {
  return parts.filter(Boolean).join(' · ')
}

/** "1 viewer", "12 viewers" */
export function count(n, one) {
  return `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`
}
