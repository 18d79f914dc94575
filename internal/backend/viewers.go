package backend

import (
	"hash/maphash"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// viewerTime is how long a viewer counts after a request. Players ask for the playlist
	// every few seconds.
	viewerTime = 15 * time.Second
	// maxViewers is how many are told apart for each stream.
	maxViewers = 100_000
)

// viewers counts who watches a stream by HLS, by the address and the program of those who
// ask. Behind a proxy that keeps playlists it counts too few.
type viewers struct {
	mu    sync.Mutex
	seen  map[uint64]time.Time
	swept time.Time // the last sweep
}

var viewerSeed = maphash.MakeSeed()

// touch notes a request.
func (v *viewers) touch(r *http.Request, now time.Time) {
	id := maphash.String(viewerSeed, clientAddr(r)+"\n"+r.UserAgent())
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil {
		v.seen = make(map[uint64]time.Time)
	}
	if _, known := v.seen[id]; !known && len(v.seen) >= maxViewers {
		return
	}
	v.seen[id] = now
	if now.Sub(v.swept) > viewerTime {
		v.sweep(now)
	}
}

// count is how many there are.
func (v *viewers) count(now time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweep(now)
	return len(v.seen)
}

func (v *viewers) sweep(now time.Time) {
	v.swept = now
	for id, at := range v.seen {
		if now.Sub(at) > viewerTime {
			delete(v.seen, id)
		}
	}
}

// clientAddr is the address of the client without its port; the one that a proxy on this
// machine names.
func clientAddr(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); first != "" && len(first) <= 64 {
			return strings.TrimSpace(first)
		}
	}
	return host
}
