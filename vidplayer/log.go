package vidplayer

import (
	"time"

	"github.com/livepeer/lpms/stream"
)

// sendLog holds the newest messages of a stream, encoded once for all players, in
// the order of sending. Messages are numbered; [base, head) are held: all since the
// newest start point, and before it what a player still has to get, up to the limits.
type sendLog struct {
	entries    []entry // length is a power of two
	base, head uint64
	start      uint64 // a player can begin at this entry
	hasStart   bool
	bytes      int
	chunkSize  int

	cur     *slab
	slabLen int
	headers *stream.Headers
	scratch []byte

	// The headers in front of one entry, encoded for all players who begin there.
	lead   []byte
	leadOf uint64
}

// slab is a run of bytes that holds messages one behind the other, so that players
// who need several of them are sent one piece.
type slab struct{ b []byte }

type entry struct {
	slab     *slab
	off, end int
	time     time.Duration
	headers  *stream.Headers
}

const (
	minSlab = 16 << 10
	maxSlab = 256 << 10
	// streamID is the message stream of nearly every player: the first that a
	// client creates. Others are served one by one.
	streamID = 1
)

func newSendLog(chunkSize int) *sendLog {
	return &sendLog{chunkSize: chunkSize, slabLen: minSlab, entries: make([]entry, 64)}
}

func (l *sendLog) at(n uint64) *entry { return &l.entries[n&uint64(len(l.entries)-1)] }

// add encodes a packet. needed is the oldest entry that a player still has to get, ready
// the oldest that one whose socket is not full still has to get.
func (l *sendLog) add(p *stream.Packet, needed, ready uint64) {
	if p.Headers != l.headers {
		if l.headers != nil {
			// In front of the packet, for the players that are on their way.
			l.append(l.encodeHeaders(p.Headers, p.Time), p)
		}
		l.headers = p.Headers
	}
	if p.IsKeyFrame || (p.Audio && p.Headers.Video == nil) {
		l.start, l.hasStart = l.head, true
	}
	s := l.room(len(p.Data) + packetOverhead + len(p.Data)/l.chunkSize*5)
	off := len(s.b)
	s.b = appendPacket(s.b, p, streamID, l.chunkSize, &l.scratch)
	l.push(entry{slab: s, off: off, end: len(s.b), time: p.Time, headers: p.Headers})
	l.evict(p.Time, needed, ready)
}

func (l *sendLog) encodeHeaders(h *stream.Headers, t time.Duration) []byte {
	return appendHeaders(nil, h, t, streamID, l.chunkSize)
}

// headersBefore are the headers for a player who begins at entry n.
func (l *sendLog) headersBefore(n uint64) []byte {
	if l.lead == nil || l.leadOf != n {
		e := l.at(n)
		l.lead, l.leadOf = l.encodeHeaders(e.headers, e.time), n
	}
	return l.lead
}

func (l *sendLog) append(b []byte, p *stream.Packet) {
	s := l.room(len(b))
	off := len(s.b)
	s.b = append(s.b, b...)
	l.push(entry{slab: s, off: off, end: len(s.b), time: p.Time, headers: p.Headers})
}

// room returns the slab that has n bytes left. Slabs grow with the stream's rate.
func (l *sendLog) room(n int) *slab {
	if l.cur == nil || cap(l.cur.b)-len(l.cur.b) < n {
		if l.cur != nil {
			l.slabLen = min(2*l.slabLen, maxSlab)
		}
		l.cur = &slab{b: make([]byte, 0, max(n, l.slabLen))}
	}
	return l.cur
}

func (l *sendLog) push(e entry) {
	if e.off == e.end {
		return // headers of codecs that RTMP does not know
	}
	if l.head-l.base == uint64(len(l.entries)) {
		grown := make([]entry, 2*len(l.entries))
		for n := l.base; n < l.head; n++ {
			grown[n&uint64(len(grown)-1)] = *l.at(n)
		}
		l.entries = grown
	}
	*l.at(l.head) = e
	l.head++
	l.bytes += e.end - e.off
}

// evict lets go of what nobody needs, of what is too old for players whose socket is
// full, and of everything over the limit but the newest entry.
func (l *sendLog) evict(now time.Duration, needed, ready uint64) {
	for l.base+1 < l.head {
		e := l.at(l.base)
		old := l.base < needed || l.base < ready && now-e.time > stream.DefaultReaderAge
		behindStart := !l.hasStart || l.base < l.start
		if l.bytes <= stream.DefaultReaderBytes && !(behindStart && old) {
			return
		}
		l.bytes -= e.end - e.off
		*e = entry{}
		l.base++
		if l.hasStart && l.base > l.start {
			l.hasStart = false
		}
	}
}

const (
	maxBuffers = 64
	maxBatch   = 256 << 10
)

// gather appends to bufs the bytes from entry n on, as few pieces as possible, and
// returns the entry after the last gathered one. Entries that lie one behind the other
// in a slab are one piece.
func (l *sendLog) gather(n uint64, bufs [][]byte) ([][]byte, uint64) {
	size := 0
	var run *entry
	from := 0
	for ; n < l.head && size < maxBatch; n++ {
		e := l.at(n)
		size += e.end - e.off
		if run != nil && run.slab == e.slab && run.end == e.off {
			bufs[len(bufs)-1] = e.slab.b[from:e.end]
		} else {
			if len(bufs) == maxBuffers {
				return bufs, n
			}
			from = e.off
			bufs = append(bufs, e.slab.b[e.off:e.end])
		}
		run = e
	}
	return bufs, n
}
