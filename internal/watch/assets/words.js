// What the player says of its state.

/** Returns what to show: a title and a text, and whether nothing is being done; null for nothing. */
export function words(player, reachable) {
  const live = player.stream?.live
  if (!reachable && player.state !== 'playing') {
    return { title: 'The server cannot be reached', text: 'Trying again…' }
  }
  switch (player.state) {
    case 'waiting':
      return { title: 'Waiting for the publisher…', text: `“${player.name}” is not live. The player starts by itself when it is.` }
    case 'connecting':
      return { title: 'Connecting…', text: live ? 'The first picture will be here in a moment.' : '' }
    case 'stalled':
      if (!live) return { title: 'Waiting for the publisher…', text: 'Its connection was lost. The stream goes on by itself when it is back.' }
      return player.troubled
        ? { title: 'Reconnecting…', text: 'The connection to the server is disturbed.' }
        : { title: 'Buffering…', text: '' }
    case 'ended':
      return { title: 'The stream has ended', text: 'The player goes on by itself when it is live again.', calm: true }
    case 'retrying':
      return { title: 'Something went wrong', text: 'Trying again…' }
    case 'unsupported':
      return { title: 'This browser cannot play the stream', text: 'Copy the HLS address into another player, such as VLC.', calm: true }
  }
  return null
}
