package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAuthorize(t *testing.T) {
	for name, c := range map[string]struct {
		opts Options
		path string
		want string // the name, or a part of the error
		err  error
	}{
		"open":                   {Options{}, "/hello", "hello", nil},
		"with an application":    {Options{}, "/live/x/hello", "hello", nil},
		"with a query":           {Options{}, "/live/hello?a=/b", "hello", nil},
		"no name":                {Options{}, "/live/", "choose another name", ErrName},
		"bad name":               {Options{}, "/.hidden", "choose another name", ErrName},
		"current":                {Options{}, "/current", "current", nil},
		"current is taken":       {Options{CurrentManifest: true}, "/current", "-currentManifest", ErrName},
		"key":                    {Options{PublishKey: "secret12"}, "/hello?key=secret12", "hello", nil},
		"key among others":       {Options{PublishKey: "secret12"}, "/hello?a=b&key=secret12", "hello", nil},
		"no key":                 {Options{PublishKey: "secret12"}, "/hello", "?key=", ErrForbidden},
		"wrong key":              {Options{PublishKey: "secret12"}, "/hello?key=secret1", "?key=", ErrForbidden},
		"wrong case":             {Options{PublishKey: "secret12"}, "/hello?key=Secret12", "?key=", ErrForbidden},
		"a query that is broken": {Options{PublishKey: "secret12"}, "/hello?key=%zz", "?key=", ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(c.opts)
			require.NoError(t, err)
			a, err := b.authorize(t.Context(), "rtmp://here", c.path)
			if err == nil {
				require.Equal(t, c.want, a.name)
				return
			}
			require.ErrorContains(t, err, c.want)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
		})
	}
}

func TestWebhook(t *testing.T) {
	asked := ""
	for name, c := range map[string]struct {
		status int
		answer string
		want   string // name, key and renditions, or a part of the error
		err    error
	}{
		"empty":             {200, "", "hello  0", nil},
		"white space":       {200, " \n", "hello  0", nil},
		"an empty object":   {200, "{}", "hello  0", nil},
		"another name":      {200, `{"manifestID":"other"}`, "other  0", nil},
		"a key for players": {200, `{"streamKey":"k"}`, "hello k 0", nil},
		"presets":           {200, `{"presets":["P144p30fps16x9","P240p30fps16x9"]}`, "hello  2", nil},
		"profiles":          {200, `{"profiles":[{"name":"low","width":256,"height":144,"bitrate":200000,"fps":15}]}`, "hello  1", nil},
		"both":              {200, `{"presets":["P144p30fps16x9"],"profiles":[{"name":"low","width":256,"height":144,"bitrate":200000}]}`, "hello  2", nil},
		"twice":             {200, `{"presets":["P144p30fps16x9","P144p30fps16x9"]}`, "taken", nil},
		"unknown preset":    {200, `{"presets":["P1"]}`, "P1", nil},
		"a bad name":        {200, `{"manifestID":"../x"}`, "the webhook answers with a name", ErrForbidden},
		"refused":           {403, "no", "403", ErrForbidden},
		"another status":    {204, "", "204", ErrForbidden},
		"a redirect":        {302, "", "302", ErrForbidden},
		"no JSON":           {200, "yes", "answer", ErrForbidden},
		"too long":          {200, strings.Repeat(" ", webhookSize+1), "longer", ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var q struct{ URL string }
				_ = json.Unmarshal(body, &q)
				asked = r.Method + " " + q.URL
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			}))
			defer hook.Close()
			b, err := New(Options{AuthWebhookURL: hook.URL})
			require.NoError(t, err)
			defer b.webhook.CloseIdleConnections()
			a, err := b.authorize(t.Context(), "rtmp://here", "/live/hello?key=1")
			require.Equal(t, "POST rtmp://here/live/hello?key=1", asked)
			if err == nil {
				require.Equal(t, c.want, fmt.Sprint(a.name, " ", a.key, " ", len(a.renditions)))
				return
			}
			require.ErrorContains(t, err, c.want)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
		})
	}
}

func TestWebhookThatIsDown(t *testing.T) {
	hook := httptest.NewServer(http.NotFoundHandler())
	hook.Close()
	log := ""
	b, err := New(Options{AuthWebhookURL: hook.URL + "/?token=S3CRET", Warnf: func(format string, args ...any) { log += fmt.Sprintf(format, args...) }})
	require.NoError(t, err)
	_, err = b.authorize(t.Context(), "rtmp://here", "/hello")
	require.ErrorIs(t, err, ErrForbidden)
	require.NotContains(t, err.Error(), hook.URL, "the publisher must not learn the address")
	require.NotContains(t, log, "S3CRET")
	require.Contains(t, log, "refused")
}

// A publisher gets what was decided about him last, whatever was decided about others who were
// refused afterwards.
func TestTheNewestAdmissionCounts(t *testing.T) {
	b, err := New(Options{})
	require.NoError(t, err)
	now := time.Now()
	b.keep(admission{path: "/a", key: "old"}, now)
	b.keep(admission{path: "/b", key: "other"}, now)
	b.keep(admission{path: "/a", key: "new"}, now)
	a, ok := b.admission("/a")
	require.True(t, ok)
	require.Equal(t, "new", a.key)
	_, ok = b.admission("/a")
	require.False(t, ok, "once")
	for i := range 2 * maxAdmitted {
		b.keep(admission{path: fmt.Sprint(i)}, now)
	}
	require.Len(t, b.admitted, maxAdmitted)
	b.keep(admission{path: "/c"}, now.Add(2*admissionTime))
	require.Len(t, b.admitted, 1, "old ones are forgotten")
}
