package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard stands in front of everything: it refuses what browsers are made to send by pages
// of other sites, bounds the body, and forbids to store the answer.
type guard struct {
	next  http.Handler
	name  string // the host that is listened on, in lower case; may be empty
	open  bool   // more than loopback is listened on: everybody's name for it is welcome
	cross *http.CrossOriginProtection
}

func newGuard(addr string, next http.Handler) *guard {
	g := &guard{next: next, name: hostOf(addr), cross: http.NewCrossOriginProtection()}
	if ip, err := netip.ParseAddr(g.name); err == nil {
		g.open = !ip.Unmap().IsLoopback()
	} else {
		g.open = g.name == "" && addr != ""
	}
	return g
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	if !g.welcome(r) {
		fail(w, &failure{http.StatusForbidden, "this is the private interface of a media server: ask for it as localhost or by the host of -cliAddr"})
		return
	}
	if g.cross.Check(r) != nil {
		fail(w, &failure{http.StatusForbidden, "a page of another origin may change nothing here"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	g.next.ServeHTTP(w, r)
}

// welcome reports whether the request's Host is a name of this machine. A page that an
// attacker's name server moves to 127.0.0.1 still sends the attacker's name.
func (g *guard) welcome(r *http.Request) bool {
	if g.open {
		return true
	}
	host := hostOf(r.Host)
	if host == "localhost" || host != "" && host == g.name || isLoopback(host) {
		return true
	}
	// -cliAddr may be a name; whether that is loopback shows when it is connected to.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && g.name != "" && g.name != "localhost" && !local.IP.IsLoopback()
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hostOf takes the port away, and the brackets of an IPv6 address.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return strings.ToLower(host)
}

// fromElsewhere reports whether a browser says that a page of another site asks.
func fromElsewhere(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "cross-site"
}
