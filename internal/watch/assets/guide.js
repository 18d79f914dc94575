// How to publish: the addresses of this server are filled in.
import * as addresses from './addresses.js'
import { set } from './card.js'

/** port is that of RTMP; 0 when it is off. keyNeeded says that publishers must give a key. */
export function fillGuide(root, port, keyNeeded) {
  const key = keyNeeded ? '?key=KEY' : ''
  const texts = {
    server: addresses.ingest(port), key: `hello_world${key}`,
    ffmpeg: addresses.ffmpeg(port, key), phone: `${addresses.ingest(port)}/phone${key}`,
  }
  for (const hint of root.querySelectorAll('[data-only-keyed]')) hint.hidden = !keyNeeded
  for (const code of root.querySelectorAll('[data-address]')) set(code, texts[code.dataset.address])
  for (const way of root.querySelectorAll('[data-needs-rtmp]')) way.hidden = !port
  for (const hint of root.querySelectorAll('[data-only-local]')) hint.hidden = !addresses.local
}
