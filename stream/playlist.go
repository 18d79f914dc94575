package stream

import (
	"bytes"
	"compress/gzip"
	"hash/fnv"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Playlist is a rendered playlist, shared by all who ask for it: its bytes must not be
// changed.
type Playlist struct {
	Raw []byte
	// ETag and GzipETag are strong HTTP entity tags, with their quotes, of Raw and of
	// what Gzip returns.
	ETag, GzipETag string
	Modified       time.Time     // when its contents changed
	MaxAge         time.Duration // how long a cache may hold it

	zipOnce sync.Once
	zipped  []byte
}

// endedMaxAge is how long caches may hold a playlist that is complete; Resume may still
// change it.
const endedMaxAge = time.Minute

func newPlaylist(raw []byte, target time.Duration, modified time.Time, ended bool) *Playlist {
	h := fnv.New64a()
	h.Write(raw)
	tag := strconv.FormatUint(h.Sum64(), 36)
	p := &Playlist{
		Raw: raw, Modified: modified,
		ETag: `"` + tag + `"`, GzipETag: `"` + tag + `-gz"`,
		// Half a target duration is the earliest at which a playlist may change (RFC
		// 8216bis, section 6.2.1).
		MaxAge: max(target/2, time.Second),
	}
	if ended {
		p.MaxAge = max(target, endedMaxAge)
	}
	return p
}

// A gzip writer is close to a megabyte: keep them for the next playlist.
var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// Gzip returns Raw compressed. The first caller compresses for all.
func (p *Playlist) Gzip() []byte {
	p.zipOnce.Do(func() {
		var out bytes.Buffer
		out.Grow(len(p.Raw)/4 + 64)
		zw := gzipWriters.Get().(*gzip.Writer)
		zw.Reset(&out)
		_, _ = zw.Write(p.Raw) // a bytes.Buffer does not fail
		_ = zw.Close()
		gzipWriters.Put(zw)
		p.zipped = out.Bytes()
	})
	return p.zipped
}

// entry is a segment with its place in a playlist. Readers share it; only freeAt changes,
// which belongs to the window.
type entry struct {
	seg    *Segment      // without Data in a gap
	extinf time.Duration // in whole microseconds
	end    time.Duration // where it ends on the clock of the stream, in whole microseconds
	breaks uint64        // discontinuities of the source up to and including this segment
	text   []byte        // its lines in the playlist
	freeAt time.Duration // when window.appended reaches it, it is not needed any more
}

func (e *entry) gap() bool { return len(e.seg.Data) == 0 }

// maxJitter is the largest distance between the end of one segment and the start of the next
// that counts as none.
const maxJitter = 10 * time.Millisecond

// newEntry copies seg. prev is the entry before it in the same rendition, if any.
//
// What is rounded is the boundary that two segments share, not the duration of each: so the
// sum of any run of EXTINF is exact however long it is (Apple's rule 8.1).
func newEntry(rendition string, seg *Segment, prev *entry, breaks uint64) *entry {
	stored := *seg
	e := &entry{seg: &stored, breaks: breaks, end: (seg.Start + seg.Duration).Round(time.Microsecond)}
	start := seg.Start.Round(time.Microsecond)
	if prev != nil && !seg.Discontinuity && prev.seg.Seq+1 == seg.Seq {
		if off := (start - prev.end).Abs(); off <= min(maxJitter, seg.Duration/2) {
			start = prev.end
		}
	}
	e.extinf = e.end - start
	e.text = appendEntry(nil, rendition, e)
	return e
}

// newGap stands in a rendition for a source segment that it does not have.
func newGap(rendition string, origin *entry) *entry {
	seg := *origin.seg
	seg.Data, seg.Info, seg.etag = nil, nil, ""
	e := &entry{seg: &seg, extinf: origin.extinf, end: origin.end, breaks: origin.breaks}
	e.text = appendEntry(nil, rendition, e)
	return e
}

func appendEntry(b []byte, rendition string, e *entry) []byte {
	if e.seg.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = e.seg.ProgramTime.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, '\n')
	if e.gap() { // players that do not know the tag get 404 and go on
		b = append(b, "#EXT-X-GAP\n"...)
	}
	b = append(b, "#EXTINF:"...)
	b = strconv.AppendInt(b, int64(e.extinf/time.Second), 10)
	b = append(b, '.')
	micros := int64(e.extinf % time.Second / time.Microsecond)
	b = append(b, strconv.FormatInt(1_000_000+micros, 10)[1:]...)
	b = append(b, ",\n"...)
	b = appendSegmentURI(b, rendition, e.seg)
	return append(b, '\n')
}

// appendSegmentURI appends the path of a segment, relative to that of its playlist.
func appendSegmentURI(b []byte, rendition string, seg *Segment) []byte {
	b = append(b, rendition...)
	b = append(b, '/')
	b = strconv.AppendUint(b, seg.Seq, 10)
	return append(b, ".ts"...)
}

// window decides what of a rendition is listed and what is held. It belongs to the lock of
// the buffer, except for view, which readers load.
type window struct {
	name     string
	entries  []*entry // not listed any more, then listed; never changed in place
	listed   int      // index of the first that is listed
	sum      time.Duration
	longest  time.Duration // of all playlists so far
	appended time.Duration // media so far
	bytes    int64         // held
	closed   bool          // EndRendition
	left     bool          // closed before the end of the source
	resting  bool          // RestRendition
	rate     rate

	view atomic.Pointer[view]
}

func (w *window) last() *entry {
	if len(w.entries) == 0 {
		return nil
	}
	return w.entries[len(w.entries)-1]
}

// push appends entries and takes out what is too old. With restart nothing before them stays
// listed.
func (w *window) push(add []*entry, restart bool, target time.Duration, cfg *HLSConfig) {
	w.closed, w.left, w.resting = false, false, false
	for restart && w.listed < len(w.entries) {
		w.retire(w.entries[w.listed])
	}
	w.entries = append(slices.Clip(w.entries), add...)
	for _, e := range add {
		w.sum += e.extinf
		w.appended += e.extinf
		w.bytes += int64(len(e.seg.Data))
	}
	w.rate.measure(w.entries, target)

	// RFC 8216bis, section 6.2.2: not shorter than three target durations.
	keep := max(3*target, cfg.Window)
	for {
		n, oldest := len(w.entries)-w.listed, w.entries[w.listed]
		if n <= cfg.MaxSegments && (n <= cfg.MinSegments || w.sum-oldest.extinf < keep) {
			break
		}
		w.retire(oldest)
	}
	w.longest = max(w.longest, w.sum)

	drop := 0
	for ; drop < len(w.entries)-1; drop++ {
		e := w.entries[drop]
		due := drop < w.listed && e.freeAt <= w.appended
		if !due && w.bytes <= cfg.MaxBytes && w.listed-drop <= cfg.MaxSegments {
			break
		}
		if drop == w.listed {
			w.retire(e)
		}
		w.bytes -= int64(len(e.seg.Data))
	}
	if drop > 0 { // a new array, so that the old one does not keep the data in memory
		w.entries = slices.Clone(w.entries[drop:])
		w.listed -= drop
	}
}

// retire takes the oldest entry out of the playlist. It stays available for its own duration
// and that of the longest playlist that had it (RFC 8216bis, section 6.2.2), measured in
// media: when the publisher pauses, so do the players.
func (w *window) retire(e *entry) {
	w.listed++
	w.sum -= e.extinf
	e.freeAt = w.appended + e.extinf + w.longest
}

// away reports whether players have no playlist of it: the next begins anew.
func (w *window) away() bool { return w.resting || w.closed }

// rest lets go of all but the place in the numbering and what was measured.
func (w *window) rest() {
	w.resting = true
	last := *w.last()
	seg := *last.seg
	seg.Data = nil
	last.seg = &seg
	w.entries, w.listed, w.sum, w.bytes = []*entry{&last}, 0, last.extinf, 0
}

// publish makes the state of the window visible to readers.
func (w *window) publish(target time.Duration, ended bool, now time.Time) {
	w.view.Store(&view{
		name: w.name, entries: w.entries, listed: w.listed,
		target: target, ended: ended, closed: w.closed, resting: w.resting, modified: now,
		info: w.rate.info, peak: w.rate.bandwidth(), average: w.rate.average(),
	})
}

// rate measures the bandwidth of a rendition.
type rate struct {
	info     *RenditionInfo // what is measured
	since    uint64         // first segment with that info
	peak     uint64         // bit/s
	bytes    int64
	duration time.Duration
}

// measure takes the newest entry into account. The peak is that of RFC 8216bis, section
// 4.4.6.2: of any run of segments that takes between 0.5 and 1.5 target durations.
func (r *rate) measure(entries []*entry, target time.Duration) {
	newest := entries[len(entries)-1]
	if info := newest.seg.Info; r.bytes == 0 || info != nil && (r.info == nil || *info != *r.info) {
		*r = rate{info: info, since: newest.seg.Seq}
	}
	r.bytes += int64(len(newest.seg.Data))
	r.duration += newest.extinf
	var size int64
	var d time.Duration
	for _, e := range slices.Backward(entries) {
		size += int64(len(e.seg.Data))
		d += e.extinf
		if e.gap() || e.seg.Seq < r.since || 2*d > 3*target {
			return
		}
		if 2*d >= target {
			r.peak = max(r.peak, bitrate(size, d))
		}
	}
}

func (r *rate) average() uint64   { return bitrate(r.bytes, r.duration) }
func (r *rate) bandwidth() uint64 { return max(r.peak, r.average()) }

// bitrate is in bit/s, rounded up.
func bitrate(size int64, d time.Duration) uint64 {
	hi, lo := bits.Mul64(uint64(size), 8*uint64(time.Second))
	lo, carry := bits.Add64(lo, uint64(d)-1, 0)
	if hi += carry; d <= 0 || hi >= uint64(d) {
		return 0
	}
	quo, _ := bits.Div64(hi, lo, uint64(d))
	return quo
}

// view is a window as readers see it. It does not change, except that the first reader
// renders the playlist.
type view struct {
	name          string
	entries       []*entry // ordered by number
	listed        int
	target        time.Duration
	ended, closed bool
	resting       bool
	modified      time.Time
	info          *RenditionInfo
	peak, average uint64

	once     sync.Once
	rendered *Playlist
}

// listedInMaster reports whether players may choose it: it has a playlist, or will have one
// when it is asked for.
func (v *view) listedInMaster() bool {
	return (!v.closed || v.ended) && !(v.resting && v.ended)
}

func (v *view) find(seq uint64) *entry {
	i, ok := slices.BinarySearchFunc(v.entries, seq, func(e *entry, seq uint64) int {
		switch {
		case e.seg.Seq < seq:
			return -1
		case e.seg.Seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return v.entries[i]
}

func (v *view) playlist() *Playlist {
	v.once.Do(func() {
		v.rendered = newPlaylist(v.render(), v.target, v.modified, v.ended)
	})
	return v.rendered
}

// independent reports whether all listed segments begin with a keyframe.
func (v *view) independent() bool {
	for _, e := range v.entries[v.listed:] {
		if !e.gap() && !e.seg.Independent {
			return false
		}
	}
	return true
}

func (v *view) render() []byte {
	list := v.entries[v.listed:]
	size := 256
	for _, e := range list {
		size += len(e.text)
	}
	first := list[0]
	breaks := first.breaks
	if first.seg.Discontinuity { // its tag is still in the playlist
		breaks--
	}
	b := make([]byte, 0, size)
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(v.target/time.Second), 10)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendUint(b, first.seg.Seq, 10)
	// Always there: a player must not find it missing once it matters (Apple's rule 8.17).
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendUint(b, breaks, 10)
	b = append(b, '\n')
	if v.independent() {
		b = append(b, independentSegments...)
	}
	for _, e := range list {
		b = append(b, e.text...)
	}
	if v.ended {
		b = append(b, "#EXT-X-ENDLIST\n"...)
	}
	return b
}

const independentSegments = "#EXT-X-INDEPENDENT-SEGMENTS\n"
