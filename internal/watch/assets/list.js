// The list of streams.
import { Card, set } from './card.js'
import { copyButtons } from './copy.js'
import { follow } from './feed.js'
import { fillGuide } from './guide.js'

const byId = id => document.getElementById(id)
const cards = new Map() // by name

const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const card = cards.get(entry.target.dataset.name)
    if (card) card.visible = entry.isIntersecting
  }
}, { rootMargin: '200px' })

function show(feed) {
  byId('trouble').hidden = true
  set(byId('version'), feed.version ?? '')
  fillGuide(byId('guide'), feed.rtmpPort, feed.keyNeeded)
  const names = new Set(feed.streams.map(s => s.name))
  for (const [name, card] of cards) {
    if (names.has(name)) continue
    seen.unobserve(card.element)
    card.element.remove()
    cards.delete(name)
  }
  // Live streams first, in the order of the feed.
  const ordered = [...feed.streams].sort((a, b) => b.live - a.live)
  let last = null
  for (const stream of ordered) {
    let card = cards.get(stream.name)
    if (!card) {
      card = new Card(byId('card'), stream.name)
      cards.set(stream.name, card)
      seen.observe(card.element)
    }
    card.update(stream)
    const place = last ? last.nextElementSibling : byId('cards').firstElementChild
    if (place !== card.element) byId('cards').insertBefore(card.element, place)
    last = card.element
  }
  showWhich(feed.streams.filter(s => s.live).length)
}

// What to do stands open when nothing is live, else it can be opened.
function showWhich(live) {
  byId('streams').hidden = cards.size === 0
  set(byId('heading'), live > 0 ? 'Live now' : 'Not live any more')
  byId('empty').hidden = live > 0
  const publish = byId('publish')
  publish.hidden = false
  if (live === 0) publish.open = true
  else if (publish.classList.contains('always')) publish.open = false
  publish.classList.toggle('always', live === 0)
  set(byId('tally'), live > 0 ? `${live} live` : '')
  document.title = live > 0 ? `${live} live · LPMS` : 'Live streams · LPMS'
}

copyButtons()
follow({ onFeed: show, onTrouble: () => { byId('trouble').hidden = false }, whenVisible: true })
setInterval(() => { for (const card of cards.values()) card.tick() }, 1000)
