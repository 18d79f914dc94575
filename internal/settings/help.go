package settings

import (
	"fmt"
	"strings"
)

const helpTop = `lpms takes live streams by RTMP or HTTP, makes lighter renditions and serves them by HLS.

  lpms                                           for this machine only
  lpms -rtmpAddr :1935 -httpAddr :8935 -publishKey SECRET
                                                 for everybody; publishers know the secret
  lpms -transcodingOptions P360p30fps16x9,2G     these renditions
  lpms -extraRenditions 2G,audio                 the automatic ladder and these two
  lpms -testSignal test                          a stream to try with
  lpms -orchestrator, -transcoder, -broadcaster  one role on each of several machines (see README)

  publish   rtmp://127.0.0.1:1935/NAME
  watch     http://127.0.0.1:8935/stream/NAME.m3u8

  lpms presets      lists the presets
  lpms bench        measures what this machine can transcode; with -cluster, the way to workers
  lpms workers      lists the workers that the lpms here knows
  lpms healthcheck  says by its exit code whether lpms works here
`

const helpEnd = `
Each flag may also be a variable, as LPMS_RTMP_ADDR, or a line of the -config file,
as "rtmpAddr :1935". A flag wins over a variable, and that over the file.
`

// help is the text of -help: options by groups, one line for each where there is room.
func help(options []option) string {
	var b strings.Builder
	b.WriteString(helpTop)
	for _, group := range []string{groupAddresses, groupLadder, groupIngest, groupWatching, groupMachines, groupOperation} {
		b.WriteString("\n" + group + "\n")
		for _, o := range options {
			if o.group != group {
				continue
			}
			left := "-" + o.name
			if o.arg != "" {
				left += " " + o.arg
			}
			b.WriteString(helpLine(left, o.help+defaultOf(o)))
		}
	}
	b.WriteString(helpEnd)
	return b.String()
}

func defaultOf(o option) string {
	if o.def == "" || o.def == "false" || strings.Contains(o.help, "(default: ") {
		return "" // the text says what is then
	}
	return " (default: " + o.def + ")"
}

// helpLine wraps the text beside the flag, for 100 columns.
func helpLine(left, text string) string {
	const column, width = 27, 100
	var b strings.Builder
	fmt.Fprintf(&b, "  %-*s", column-2, left)
	used := max(column, len(left)+2)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case used+1+len(word) > width:
			fmt.Fprintf(&b, "\n%*s", column, "")
			used = column
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	b.WriteByte('\n')
	return b.String()
}
