package backend

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/stream"
)

// thumbnails keeps one picture of each stream. Those that are transcoded give theirs while
// they are decoded; of others one is decoded when somebody looks.
type thumbnails struct {
	mu     sync.Mutex
	newest map[string]thumbnail
	asked  atomic.Int64 // when somebody looked, in nanoseconds since 1970
}

type thumbnail struct {
	jpeg []byte
	at   time.Time
}

// oldThumbnail is the age at which a picture is made anew when nobody gives one.
const oldThumbnail = 10 * time.Second

// put keeps a picture, whose bytes belong to it from then on.
func (t *thumbnails) put(name string, jpeg []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.newest == nil {
		t.newest = make(map[string]thumbnail)
	}
	t.newest[name] = thumbnail{jpeg, time.Now()}
}

func (t *thumbnails) get(name string) (thumbnail, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.newest[name]
	return p, ok
}

// sweep forgets the pictures of streams that have gone.
func (t *thumbnails) sweep(shows []*show) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.newest {
		_, found := slices.BinarySearchFunc(shows, name, func(s *show, name string) int { return strings.Compare(s.name, name) })
		if !found {
			delete(t.newest, name)
		}
	}
}

// thumbnail returns the newest picture of a stream.
func (b *Backend) thumbnail(name string) (jpeg []byte, at time.Time, ok bool) {
	b.thumbs.asked.Store(time.Now().UnixNano())
	p, ok := b.thumbs.get(name)
	return p.jpeg, p.at, ok && len(p.jpeg) > 0
}

// refresh is called now and then with all shows, by name. It decodes a picture of the one that
// has gone without for the longest time, when somebody looks at them.
func (t *thumbnails) refresh(shows []*show, now time.Time) {
	t.sweep(shows)
	if now.Sub(time.Unix(0, t.asked.Load())) > oldThumbnail {
		return
	}
	var stale *show
	oldest := now.Add(-oldThumbnail)
	for _, s := range shows {
		if p, _ := t.get(s.name); s.isLive() && p.at.Before(oldest) {
			stale, oldest = s, p.at
		}
	}
	if stale != nil {
		t.decode(stale)
	}
}

// decode makes a picture of the newest segment. A failure counts as one, so that it is not
// tried at once again.
func (t *thumbnails) decode(s *show) {
	segs := s.buf.SegmentsAfter(stream.Source, 0)
	if len(segs) == 0 {
		return
	}
	old, _ := t.get(s.name)
	if jpeg, err := ffmpeg.Thumbnail(segs[len(segs)-1].Data); err == nil {
		old.jpeg = jpeg
	}
	t.put(s.name, old.jpeg)
}
