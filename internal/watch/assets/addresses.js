// The addresses of streams on the host that this page came from.

const host = location.hostname
const origin = location.origin

/** The path of a presentation, which is on the same origin. */
export const playlist = name => `/stream/${name}.m3u8`

export const hls = name => origin + playlist(name)

/** Where an RTMP player finds the stream. */
export const rtmp = (name, port) => `${server(port)}/${name}`

/** What goes into "Server" of an encoder; the name of the stream is its key. */
export const ingest = port => `${server(port)}/live`

const server = port => `rtmp://${host}${port === 1935 ? '' : `:${port}`}`

export const ffmpeg = (port, key) => 'ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine ' +
  `-c:v libx264 -preset veryfast -g 60 -pix_fmt yuv420p -c:a aac -f flv '${ingest(port)}/hello_world${key}'`

export const frame = name =>
  `<iframe src="${origin}/watch/${name}?embed=1" width="640" height="360" allow="autoplay; fullscreen" allowfullscreen></iframe>`

/** Whether other machines cannot reach the host by this name. */
export const local = host === 'localhost' || host === '[::1]' || host.startsWith('127.')
