package admin

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	const loopback, lan = "127.0.0.1", "192.0.2.7"
	cases := []struct {
		addr, local, host string
		welcome           bool
	}{
		{"127.0.0.1:7935", loopback, "127.0.0.1:7935", true},
		{"127.0.0.1:7935", loopback, "127.0.0.1", true},
		{"127.0.0.1:7935", loopback, "127.9.9.9:1", true},
		{"127.0.0.1:7935", loopback, "localhost:7935", true},
		{"127.0.0.1:7935", loopback, "LocalHost", true},
		{"127.0.0.1:7935", loopback, "[::1]:7935", true},
		{"127.0.0.1:7935", loopback, "[::1]", true},
		{"127.0.0.1:7935", loopback, "[::ffff:127.0.0.1]:7935", true},
		{"127.0.0.1:7935", loopback, "localhost:9000", true}, // through a tunnel
		{"127.0.0.1:7935", loopback, "attacker.example", false},
		{"127.0.0.1:7935", loopback, "attacker.example:7935", false},
		{"127.0.0.1:7935", loopback, "localhost.attacker.example", false},
		{"127.0.0.1:7935", loopback, "127.0.0.1.attacker.example", false},
		{"127.0.0.1:7935", loopback, "attacker.example:127.0.0.1", false},
		{"127.0.0.1:7935", loopback, "192.0.2.7:7935", false},
		{"127.0.0.1:7935", loopback, "0.0.0.0:7935", false},
		{"127.0.0.1:7935", loopback, "[::]:7935", false},
		{"127.0.0.1:7935", loopback, "2130706433", false},
		{"127.0.0.1:7935", loopback, "[", false},
		{"127.0.0.1:7935", loopback, ":7935", false},
		{"127.0.0.1:7935", loopback, "", false},
		{"[::1]:7935", "::1", "[::1]:7935", true},
		{"[::1]:7935", "::1", "attacker.example", false},
		{"localhost:7935", loopback, "localhost:7935", true},
		{"localhost:7935", loopback, "attacker.example", false},
		{"", loopback, "localhost", true},
		{"", loopback, "attacker.example", false},
		// A name: it depends on what it stands for.
		{"Media.internal:7935", loopback, "media.internal:7935", true},
		{"media.internal:7935", loopback, "attacker.example", false},
		{"media.internal:7935", lan, "other.name:7935", true},
		// More than loopback.
		{":7935", loopback, "media.example", true},
		{"0.0.0.0:7935", lan, "media.example", true},
		{"[::]:7935", lan, "media.example", true},
		{"192.0.2.7:7935", lan, "media.example", true},
	}
	for _, c := range cases {
		t.Run(c.addr+" at "+c.local+" as "+c.host, func(t *testing.T) {
			h := New(Options{Addr: c.addr})
			r := httptest.NewRequest("GET", "/healthz", nil)
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(c.local), Port: 7935}))
			r.Host = c.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if c.welcome {
				require.Equal(t, http.StatusOK, w.Code)
				return
			}
			require.Equal(t, http.StatusForbidden, w.Code)
			require.Contains(t, w.Body.String(), "-cliAddr")
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		})
	}
}

func TestOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"curl":                       {nil, 200},
		"own page":                   {[]string{"Origin", "http://127.0.0.1:7935"}, 200},
		"own page, new browser":      {[]string{"Origin", "http://127.0.0.1:7935", "Sec-Fetch-Site", "same-origin"}, 200},
		"typed in":                   {[]string{"Sec-Fetch-Site", "none"}, 200},
		"another site":               {[]string{"Origin", "https://attacker.example"}, 403},
		"another site, new browser":  {[]string{"Origin", "https://attacker.example", "Sec-Fetch-Site", "cross-site"}, 403},
		"another port":               {[]string{"Origin", "http://127.0.0.1:3000"}, 403},
		"another port, new browser":  {[]string{"Origin", "http://127.0.0.1:3000", "Sec-Fetch-Site", "same-site"}, 403},
		"another name":               {[]string{"Origin", "http://localhost:7935"}, 403},
		"a file, or a sandbox":       {[]string{"Origin", "null"}, 403},
		"no origin":                  {[]string{"Origin", "%%%"}, 403},
		"a form of another site":     {[]string{"Origin", "https://attacker.example", "Content-Type", "application/x-www-form-urlencoded"}, 403},
		"rebound, with own origin":   {[]string{"Host", "attacker.example", "Origin", "http://attacker.example", "Sec-Fetch-Site", "same-origin"}, 403},
		"own origin, by other names": {[]string{"Host", "localhost:7935", "Origin", "http://localhost:7935"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{level: 3}
			w := ask(New(f.options()), "POST", "/setLogLevel?loglevel=6", "", c.headers...)
			require.Equal(t, c.status, w.Code, w.Body)
			require.Equal(t, c.status == 200, f.level == 6)
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		})
	}
}

func TestBodyIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ kind, body string }{
		"form": {"application/x-www-form-urlencoded", "transcodingOptions="},
		"JSON": {"application/json", `{"transcodingOptions": "`},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{}
			w := ask(New(f.options()), "POST", "/setBroadcastConfig", c.body+strings.Repeat("x", maxBody), "Content-Type", c.kind)
			require.Equal(t, http.StatusRequestEntityTooLarge, w.Code, w.Body)
			require.Empty(t, f.settings)
		})
	}
}
