package backend

import (
	"hash/maphash"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxViewers is how many are told apart for each stream.
const maxViewers = 100_000

// viewers counts who watches a stream by HLS, by the address and the program of those who
// ask. Behind a proxy that keeps playlists it counts too few.
type viewers struct {
	mu    sync.Mutex
	seen  map[uint64]time.Time
	swept time.Time // the last sweep
}

var viewerSeed = maphash.MakeSeed()

// touch notes a request. Whoever was silent for the time given has left.
func (v *viewers) touch(r *http.Request, now time.Time, silent time.Duration) {
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
	if now.Sub(v.swept) > silent {
		v.sweep(now, silent)
	}
}

// count is how many there are.
func (v *viewers) count(now time.Time, silent time.Duration) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweep(now, silent)
	return len(v.seen)
}

func (v *viewers) sweep(now time.Time, silent time.Duration) {
	v.swept = now
	for id, at := range v.seen {
		if now.Sub(at) > silent {
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
		// The last is what the proxy saw; what stands before, the client may have written.
		all := r.Header.Get("X-Forwarded-For")
		if last := strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:]); last != "" && len(last) <= 64 {
			return last
		}
	}
	return host
}
