// The feed is /streams.json, asked again and again.

/** How far the clock of the server is ahead of this machine's, in ms. */
let ahead = 0

/** The time of the server, in ms. */
export const serverNow = () => Date.now() + ahead

/** How long a stream has been live, in seconds; NaN when that is not known. */
export function uptime(stream) {
  const since = Date.parse(stream.since)
  return stream.live && since > 0 ? Math.max(0, (serverNow() - since) / 1000) : NaN
}

async function read() {
  const sent = Date.now()
  const answer = await fetch('/streams.json', { signal: AbortSignal.timeout(10_000) })
  if (!answer.ok) throw new Error(`status ${answer.status}`)
  const feed = await answer.json()
  const now = Date.parse(feed.now)
  if (now > 0) ahead = now - (sent + Date.now()) / 2
  feed.streams ??= []
  return feed
}

/**
 * Calls onFeed with the feed every two seconds, and onTrouble when it cannot be had, after
 * which it asks less often. With whenVisible it rests while the page is hidden.
 */
export function follow({ onFeed, onTrouble, whenVisible }) {
  const every = 2000
  let failures = 0
  let timer
  let asking = false
  async function ask() {
    clearTimeout(timer)
    if (asking || (whenVisible && document.hidden)) return
    asking = true
    let feed
    try {
      feed = await read()
      failures = 0
    } catch {
      failures++
    }
    asking = false
    timer = setTimeout(ask, Math.min(every * 2 ** Math.min(failures, 3), 15_000))
    if (feed) onFeed(feed)
    else onTrouble()
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) ask() })
  ask()
}
