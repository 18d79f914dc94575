package admin

import (
	"net/http"
	"net/http/pprof"
	"strconv"
)

const (
	// maxProfiles is how many profiles are made at once.
	maxProfiles = 4
	// maxProfileTime is how long a profile or trace may take, in seconds.
	maxProfileTime = 300
)

// profileRoutes are net/http/pprof, without the command line: it may hold secrets.
func (a *admin) profileRoutes() []route {
	const about = "profiles of the process, for go tool pprof"
	either := []string{http.MethodGet, http.MethodPost}
	return []route{
		{get, "/debug/pprof/", about, "", a.profile(pprof.Index)},
		{get, "/debug/pprof/profile", "what takes CPU time: ?seconds=30", "", a.profile(pprof.Profile)},
		{get, "/debug/pprof/trace", "what every goroutine does: ?seconds=1", "", a.profile(pprof.Trace)},
		{either, "/debug/pprof/symbol", "names of functions", "", a.profile(pprof.Symbol)},
		{get, "/debug/pprof/cmdline", "the command line", "it may hold secrets: ask the system, as ps does", nil},
	}
}

// profile bounds the time and the number of profiles, and keeps pages of other sites from
// making any: each costs CPU time.
func (a *admin) profile(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if fromElsewhere(r) {
			return &failure{http.StatusForbidden, "a page of another site may make no profile"}
		}
		// Not "> max": that would let NaN pass.
		if s, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64); err == nil && !(s <= maxProfileTime) {
			return &failure{http.StatusBadRequest, "seconds may be " + strconv.Itoa(maxProfileTime) + " at most"}
		}
		select {
		case a.profiles <- struct{}{}:
		default:
			return &failure{http.StatusServiceUnavailable, "other profiles are being made: try again when they are done"}
		}
		defer func() { <-a.profiles }()
		h(w, r)
		return nil
	}
}
