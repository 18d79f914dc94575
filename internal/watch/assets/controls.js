// The controls over the picture: by mouse, by touch and by keyboard.

const idleAfter = 3000

export function controls(player, root) {
  const byId = id => document.getElementById(id)
  const { video } = player
  const flag = (name, on) => { root.dataset[name] = on ? 'yes' : 'no' }

  const togglePlay = () => {
    if (!player.engine) return
    if (!video.paused) video.pause()
    else if (player.state === 'blocked') player.play()
    else player.goLive()
  }
  const toggleMute = () => {
    video.muted = !video.muted
    if (!video.muted && video.volume === 0) video.volume = 0.5
  }
  const toggleFullscreen = () => {
    if (document.fullscreenElement) document.exitFullscreen()
    else if (root.requestFullscreen) root.requestFullscreen()
    else video.webkitEnterFullscreen?.() // phones show the video alone
  }

  byId('play').addEventListener('click', togglePlay)
  byId('big-play').addEventListener('click', togglePlay)
  byId('mute').addEventListener('click', toggleMute)
  byId('unmute').addEventListener('click', toggleMute)
  byId('live').addEventListener('click', () => player.goLive())
  byId('fullscreen').addEventListener('click', toggleFullscreen)
  byId('fullscreen').hidden = !root.requestFullscreen && !video.webkitEnterFullscreen
  byId('volume').addEventListener('input', event => {
    video.volume = Number(event.target.value)
    video.muted = video.volume === 0
  })

  // A mouse plays and pauses on the picture; a finger brings the controls.
  video.addEventListener('click', event => { if (event.pointerType !== 'touch') togglePlay() })
  video.addEventListener('dblclick', toggleFullscreen)

  const keys = { k: togglePlay, ' ': togglePlay, m: toggleMute, f: toggleFullscreen, l: () => player.goLive() }
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.target.closest('select, input, button, a, textarea') && event.key === ' ') return
    if (event.target.closest('select, input, textarea')) return
    const act = keys[event.key.toLowerCase()]
    if (!act) return
    event.preventDefault()
    wake()
    act()
  })

  // The controls fade when nobody uses them.
  let timer
  const wake = () => {
    flag('idle', false)
    clearTimeout(timer)
    timer = setTimeout(() => {
      const used = root.querySelector('.controls:hover, .controls :focus-visible')
      if (!used && player.state === 'playing' && !video.paused) flag('idle', true)
    }, idleAfter)
  }
  for (const event of ['pointermove', 'pointerdown', 'focusin']) root.addEventListener(event, wake)

  const show = () => {
    const running = player.state === 'playing' || player.state === 'stalled'
    flag('paused', video.paused)
    flag('muted', video.muted)
    byId('play').disabled = !player.engine
    byId('play').setAttribute('aria-label', video.paused ? 'Play' : 'Pause')
    byId('mute').setAttribute('aria-label', video.muted ? 'Unmute' : 'Mute')
    byId('volume').value = video.muted ? 0 : video.volume
    byId('unmute').hidden = !(video.muted && running && !video.paused)
    byId('big-play').hidden = !(player.state === 'blocked' || (video.paused && running))
    wake()
  }
  for (const event of ['play', 'pause', 'volumechange']) video.addEventListener(event, show)
  player.addEventListener('state', show)
  show()
}

/** The button that says whether the picture is live, twice a second. */
export function showLive(player, button) {
  button.disabled = !player.engine || !player.stream?.live || player.state === 'connecting'
  const behind = !button.disabled && player.behind
  button.dataset.behind = behind ? 'yes' : 'no'
  button.setAttribute('aria-label', behind ? 'Go live, the picture is behind' : 'Live')
  const text = button.querySelector('span:last-child')
  const wanted = behind ? 'Go live' : 'Live'
  if (text.textContent !== wanted) text.textContent = wanted
}
