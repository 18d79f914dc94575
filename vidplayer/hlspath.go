package vidplayer

import (
	"strconv"
	"strings"

	"github.com/livepeer/lpms/stream"
)

const (
	maxPath     = 1024 // bytes
	maxElements = 16

	playlistExt = ".m3u8"
	segmentExt  = ".ts"
)

// hlsPath is what the path of a request means. For a presentation whose master playlist is
// at /a/name.m3u8:
//
//	/a/name.m3u8           master playlist
//	/a/name/720p.m3u8      media playlist (or the master playlist of another presentation)
//	/a/name/720p/123.ts    segment
//
// The stem of a presentation is the path of its master playlist without the extension.
type hlsPath struct {
	segment   bool
	stem      string // of a playlist: if the path is that of a master playlist, its stem
	parent    string // the stem if the path is that of a media playlist or segment; may be empty
	rendition string
	seq       uint64
}

// parsePath takes only canonical paths: each thing has one path, and what is not a valid
// name reaches nobody's callback.
func parsePath(path string) (p hlsPath, ok bool) {
	if len(path) < 2 || len(path) > maxPath || path[0] != '/' {
		return p, false
	}
	elements := 0
	for rest, more := path[1:], true; more; elements++ {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if elements == maxElements || !stream.ValidName(name) {
			return p, false
		}
	}
	if stem, found := strings.CutSuffix(path, playlistExt); found {
		p.stem = stem
		if elements > 1 {
			p.parent, p.rendition = cutLast(stem)
		}
		return p, true
	}
	stem, found := strings.CutSuffix(path, segmentExt)
	if !found || elements < 3 {
		return p, false
	}
	p.segment = true
	dir, number := cutLast(stem)
	p.parent, p.rendition = cutLast(dir)
	p.seq, ok = parseSeq(number)
	return p, ok
}

func cutLast(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:i], path[i+1:]
}

func parseSeq(s string) (uint64, bool) {
	if s == "" || s[0] == '+' || s[0] == '0' && s != "0" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
