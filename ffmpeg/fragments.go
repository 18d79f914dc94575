package ffmpeg

// #include <errno.h>
// #include <libavutil/error.h>
import "C"

import (
	"encoding/binary"
	"slices"
)

// errMemory is the error for an allocation that failed.
func errMemory(op string) error { return &Error{Op: op, Code: -C.ENOMEM} }

// fragmentCheck finds out whether an MP4 is complete: libavformat goes on without a word when
// memory for a fragment is missing.
type fragmentCheck struct {
	seen    int // bytes that were checked
	written int // samples
	found   int // of them, in the fragments
	other   int // samples that are not counted in written
	broken  bool
}

func (f *fragmentCheck) complete() bool { return !f.broken && f.found-f.other == f.written }

// add reads top-level boxes, of which only whole ones may come.
func (f *fragmentCheck) add(b []byte, uncounted func(track uint32) bool) {
	rest := eachBox(b, func(kind string, body []byte) {
		if kind != "moof" {
			return
		}
		eachBox(body, func(kind string, body []byte) {
			if kind != "traf" {
				return
			}
			track := uint32(0)
			eachBox(body, func(kind string, body []byte) {
				switch {
				case kind == "tfhd" && len(body) >= 8:
					track = binary.BigEndian.Uint32(body[4:])
				case kind == "trun" && len(body) >= 8:
					n := int(binary.BigEndian.Uint32(body[4:]))
					f.found += n
					if uncounted(track) {
						f.other += n
					}
				}
			})
		})
	})
	f.broken = f.broken || len(rest) > 0
}

// eachBox calls f with the boxes that b is made of (ISO/IEC 14496-12 4.2) and gives what is
// no whole box.
func eachBox(b []byte, f func(kind string, body []byte)) (rest []byte) {
	for len(b) >= 8 {
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		if size == 1 && len(b) >= 16 {
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < head || size > uint64(len(b)) {
			return b
		}
		f(string(b[4:8]), b[head:size])
		b = b[size:]
	}
	return b
}

// inspect checks what was written since it was called last.
func (c *container) inspect() error {
	if !c.ours || c.err != nil || c.waiting {
		return c.err
	}
	b := c.written()
	c.check.add(b[c.check.seen:], func(track uint32) bool {
		for i := range c.tracks {
			if t := &c.tracks[i]; t.stream+1 == int(track) {
				return t.codec == "eac3"
			}
		}
		return false
	})
	if c.check.seen = len(b); c.check.broken {
		return c.fail(errMemory("write fragments"))
	}
	return nil
}

// withEdits copies what was written. Into the header, once it is there, go the edit lists of
// tracks that start before zero.
func (c *container) withEdits(written []byte) []byte {
	needed := false
	for i := range c.tracks {
		needed = needed || c.tracks[i].shift > 0
	}
	if !needed || c.edited {
		return slices.Clone(written)
	}
	out := make([]byte, 0, len(written)+len(c.tracks)*editSize)
	rest := eachBox(written, func(kind string, body []byte) {
		if kind == "moov" {
			c.edited = true
			out = c.editMovie(out, body)
			return
		}
		out = appendBox(out, kind, func(out []byte) []byte { return append(out, body...) })
	})
	return append(out, rest...)
}

// editMovie appends a moov box with the edit lists. A fragment does not say where it is in the
// file (default-base-is-moof): nothing else changes.
func (c *container) editMovie(out, body []byte) []byte {
	return appendBox(out, "moov", func(out []byte) []byte {
		track := 0
		eachBox(body, func(kind string, body []byte) {
			if kind != "trak" {
				out = appendBox(out, kind, func(out []byte) []byte { return append(out, body...) })
				return
			}
			track++
			out = appendBox(out, kind, func(out []byte) []byte {
				eachBox(body, func(kind string, body []byte) {
					out = appendBox(out, kind, func(out []byte) []byte { return append(out, body...) })
					if kind == "tkhd" { // the edit list comes next
						out = c.appendEdit(out, track-1)
					}
				})
				return out
			})
		})
		return out
	})
}

const editSize = 8 + 8 + 8 + 20

// appendEdit appends an edts box when the track needs one: ISO/IEC 14496-12 8.6.6. A duration
// of zero is that of all fragments.
func (c *container) appendEdit(out []byte, stream int) []byte {
	for i := range c.tracks {
		t := &c.tracks[i]
		if t.stream != stream || t.shift <= 0 {
			continue
		}
		out = appendBox(out, "edts", func(out []byte) []byte {
			return appendBox(out, "elst", func(out []byte) []byte {
				out = append(out, 1, 0, 0, 0, 0, 0, 0, 1)
				out = binary.BigEndian.AppendUint64(out, 0)
				out = binary.BigEndian.AppendUint64(out, uint64(t.shift))
				return append(out, 0, 1, 0, 0)
			})
		})
	}
	return out
}

// appendBox appends a box whose body f appends.
func appendBox(out []byte, kind string, f func([]byte) []byte) []byte {
	at := len(out)
	out = f(append(append(out, 0, 0, 0, 0), kind...))
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at))
	return out
}
