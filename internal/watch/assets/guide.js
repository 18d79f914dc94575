// How to publish: the addresses of this server are filled in.
import * as addresses from './addresses.js'
import { set } from './card.js'

/** port is that of RTMP; 0 when it is off. */
export function fillGuide(root, port) {
  const texts = {
    server: addresses.ingest(port), ffmpeg: addresses.ffmpeg(port), phone: `${addresses.ingest(port)}/phone`,
  }
  for (const code of root.querySelectorAll('[data-address]')) set(code, texts[code.dataset.address])
  for (const way of root.querySelectorAll('[data-needs-rtmp]')) way.hidden = !port
  for (const hint of root.querySelectorAll('[data-only-local]')) hint.hidden = !addresses.local
}
