// The choice of the quality.
import * as format from './format.js'

const title = level => format.shortSize(level.width, level.height, level.frameRate) ||
  (level.name === 'source' ? 'Source' : level.name)

const label = level => format.line(title(level), format.bitrate(level.bitrate))

/** What plays, in a few words. */
export function playing(player) {
  const { level } = player
  if (!level) return ''
  const name = title(level)
  return player.choice === 'auto' && player.levels.length > 1 ? `Auto (${name})` : name
}

/** Keeps the list in step with the player. */
export function quality(player, select) {
  const show = () => {
    const { levels } = player
    const auto = levels.length > 0 && player.choice === 'auto' ? playing(player) || 'Auto' : 'Auto'
    const options = [['auto', levels.length === 1 ? playing(player) || 'Auto' : auto]]
    if (levels.length > 1) for (const level of levels) options.push([level.name, label(level)])
    // An open list would close when its options are replaced: they are only changed.
    while (select.options.length > options.length) select.remove(select.options.length - 1)
    options.forEach(([value, text], i) => {
      const option = select.options[i] ?? select.appendChild(document.createElement('option'))
      if (option.value !== value) option.value = value
      if (option.textContent !== text) option.textContent = text
    })
    select.value = player.choice
    if (select.selectedIndex < 0) select.value = 'auto'
    select.disabled = levels.length < 2
  }
  select.addEventListener('change', () => player.choose(select.value))
  player.addEventListener('levels', show)
  show()
}
