package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	form    = "application/x-www-form-urlencoded"
	jsonDoc = "application/json; charset=utf-8"
)

func TestSetConfig(t *testing.T) {
	n, presets, file := 5, "P144p30fps16x9,P240p30fps16x9", "/etc/lpms/ladder.json"
	for name, c := range map[string]struct {
		target, kind, body string
		want               Settings
	}{
		"form":            {"", form, "maxSessions=5&transcodingOptions=P144p30fps16x9%2CP240p30fps16x9", Settings{&presets, &n}},
		"one of a form":   {"", form, "maxSessions=5", Settings{nil, &n}},
		"query":           {"?transcodingOptions=P144p30fps16x9,P240p30fps16x9", "", "", Settings{&presets, nil}},
		"query and form":  {"?maxSessions=5", form, "transcodingOptions=/etc/lpms/ladder.json", Settings{&file, &n}},
		"JSON":            {"", jsonDoc, `{"maxSessions": 5, "transcodingOptions": "P144p30fps16x9,P240p30fps16x9"}`, Settings{&presets, &n}},
		"number as text":  {"", jsonDoc, `{"maxSessions": "5"}`, Settings{nil, &n}},
		"JSON with blank": {"", jsonDoc, " {\"maxSessions\": 5}\n\n", Settings{nil, &n}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{}
			w := ask(New(f.options()), "POST", "/setBroadcastConfig"+c.target, c.body, "Content-Type", c.kind)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			require.Equal(t, []Settings{c.want}, f.settings)
			require.JSONEq(t, `{"maxSessions": 10, "transcodingOptions": "P144p30fps16x9"}`, w.Body.String(), "the settings as they are")
		})
	}
}

func TestSetConfigRefuses(t *testing.T) {
	const both = "what can be set is maxSessions and transcodingOptions"
	for name, c := range map[string]struct {
		kind, body string
		status     int
		says       string
	}{
		"nothing":           {"", "", 400, both},
		"empty object":      {jsonDoc, "{}", 400, both},
		"null":              {jsonDoc, "null", 400, both},
		"empty JSON":        {jsonDoc, "", 400, "JSON"},
		"another key":       {form, "maxPrice=5&maxSessions=5", 400, `"maxPrice" cannot be set: ` + both},
		"another JSON key":  {jsonDoc, `{"rtmpAddr": ":1935"}`, 400, `"rtmpAddr" cannot be set: ` + both},
		"another case":      {form, "maxsessions=5", 400, both},
		"a list":            {jsonDoc, `[1]`, 400, "object"},
		"two objects":       {jsonDoc, `{"maxSessions": 5}{}`, 400, "more than one"},
		"a list of presets": {jsonDoc, `{"transcodingOptions": ["P144p30fps16x9"]}`, 400, "must be a string or a number"},
		"twice":             {form, "maxSessions=5&maxSessions=6", 400, "send it once"},
		"no number":         {form, "maxSessions=many", 400, "a number from 1 to 10000"},
		"zero":              {form, "maxSessions=0", 400, "a number from 1 to 10000"},
		"negative":          {form, "maxSessions=-1", 400, "a number from 1 to 10000"},
		"too many":          {form, "maxSessions=10001", 400, "a number from 1 to 10000"},
		"a fraction":        {jsonDoc, `{"maxSessions": 1.5}`, 400, "a number from 1 to 10000"},
		"beyond 64 bits":    {jsonDoc, `{"maxSessions": 99999999999999999999}`, 400, "a number from 1 to 10000"},
		"no preset":         {form, "transcodingOptions=+", 400, "must not be empty"},
		"bad escape":        {form, "maxSessions=%zz", 400, "cannot be read"},
		"text":              {"text/plain", `{"maxSessions": 5}`, 415, "application/json"},
		"untyped":           {"", "maxSessions=5", 415, "application/x-www-form-urlencoded"},
		"multipart":         {"multipart/form-data; boundary=x", "--x--", 415, "application/json"},
		"deep":              {jsonDoc, strings.Repeat("[", 60_000), 400, "JSON"},
		"long":              {form, strings.Repeat("k", 60_000) + "=1", 400, "..."},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{}
			w := ask(New(f.options()), "POST", "/setBroadcastConfig", c.body, "Content-Type", c.kind)
			require.Equal(t, c.status, w.Code)
			require.Contains(t, w.Body.String(), c.says)
			require.Less(t, w.Body.Len(), 500)
			require.Empty(t, f.settings)
		})
	}
}

func TestTheCallersWord(t *testing.T) {
	f := &fixture{refuse: errRefused}
	h := New(f.options())
	for _, target := range []string{"/setBroadcastConfig?transcodingOptions=P9000", "/setLogLevel?loglevel=1"} {
		w := ask(h, "POST", target, "")
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Equal(t, errRefused.Error()+"\n", w.Body.String())
	}
}

func TestSetConfigWithoutConfig(t *testing.T) {
	w := ask(New(Options{SetConfig: func(Settings) error { return nil }}), "POST", "/setBroadcastConfig?maxSessions=1", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "ok\n", w.Body.String())
}

func TestLogLevel(t *testing.T) {
	f := &fixture{level: 3}
	h := New(f.options())
	require.Equal(t, "3\n", ask(h, "GET", "/getLogLevel", "").Body.String())
	for _, c := range []struct{ target, kind, body string }{
		{"?loglevel=0", "", ""}, {"", form, "loglevel=99"}, {"", jsonDoc, `{"loglevel": 6}`},
	} {
		w := ask(h, "POST", "/setLogLevel"+c.target, c.body, "Content-Type", c.kind)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Equal(t, w.Body.String(), ask(h, "GET", "/getLogLevel", "").Body.String())
	}
	require.Equal(t, 6, f.level)
	for _, query := range []string{"", "?loglevel=", "?loglevel=-1", "?loglevel=100", "?loglevel=high", "?v=6", "?loglevel=1&loglevel=2"} {
		w := ask(h, "POST", "/setLogLevel"+query, "")
		require.Equal(t, http.StatusBadRequest, w.Code, query)
		require.Contains(t, w.Body.String(), "loglevel", query)
		require.Equal(t, 6, f.level)
	}
}

func TestPresets(t *testing.T) {
	f := &fixture{}
	require.JSONEq(t, `["P144p30fps16x9", "P240p30fps16x9"]`, ask(New(f.options()), "GET", "/getAvailableTranscodingOptions", "").Body.String())
	none := New(Options{TranscodingOptions: func() []string { return nil }})
	require.JSONEq(t, `[]`, ask(none, "GET", "/getAvailableTranscodingOptions", "").Body.String())
}

func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{`{"a": 1}`, `{"a": "b"}`, `null`, `[`, `{"a": {}}`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		values, err := readJSON(strings.NewReader(body))
		require.Equal(t, err == nil, values != nil)
	})
}
