package settings

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// publicText is Public as the admin API sends it.
func (s *Settings) publicText() string {
	b, err := json.Marshal(s.Public())
	if err != nil {
		return ""
	}
	return string(b)
}

// Each has exactly one problem; the sentence is what people read.
func TestProblems(t *testing.T) {
	dir := t.TempDir()
	empty := file(t, "empty", "\n")
	big := file(t, "big.json", strings.Repeat(" ", maxFile+1))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"bare port", []string{"-cliAddr", "7000"}, `-cliAddr "7000" is not host:port: write 127.0.0.1:7000 for this machine only, or :7000 for all interfaces`},
		{"bare host", []string{"-httpAddr", "localhost"}, `-httpAddr "localhost" is not host:port: write localhost:8935`},
		{"bare IPv6", []string{"-httpAddr", "::1"}, `-httpAddr "::1" is not host:port: write [::1]:8935`},
		{"bracketed IPv6", []string{"-httpAddr", "[::1]"}, `write [::1]:8935`},
		{"URL", []string{"-httpAddr", "http://10.0.0.1:80/x"}, `write 10.0.0.1:80`},
		{"URL without port", []string{"-rtmpAddr", "rtmp://10.0.0.1/stream"}, `write 10.0.0.1:1935`},
		{"star", []string{"-httpAddr", "*:8080"}, `write :8080 for all interfaces`},
		{"no port", []string{"-httpAddr", "10.0.0.1:"}, `-httpAddr "10.0.0.1:" has no port: write 10.0.0.1:8935`},
		{"large port", []string{"-httpAddr", ":65536"}, `the port must be a number from 0 to 65535: write :8935`},
		{"named port", []string{"-httpAddr", ":http"}, `the port must be a number`},
		{"too few numbers", []string{"-httpAddr", "10.0.1:80"}, `is not host:port: write 127.0.0.1:8935 for this`},
		{"empty address", []string{"-rtmpAddr", ""}, `-rtmpAddr "" is not host:port: write 127.0.0.1:1935`},
		{"HTTP off", []string{"-httpAddr", "off"}, `-httpAddr "off": this one is needed: write 127.0.0.1:8935 or :8935`},
		{"nobody could publish", []string{"-rtmpAddr", "off", "-httpIngest=false"}, `-rtmpAddr "off" with -httpIngest=false: nobody could publish`},
		{"equal", []string{"-cliAddr", "localhost:1935"}, `-cliAddr "localhost:1935" and -rtmpAddr "127.0.0.1:1935" are the same port`},
		{"one covers the other", []string{"-httpAddr", ":1935"}, `-httpAddr ":1935" and -rtmpAddr "127.0.0.1:1935" are the same port`},

		{"unknown preset", []string{"-transcodingOptions", "P144p30fps16x8"},
			`-transcodingOptions: there is no preset "P144p30fps16x8": did you mean P144p30fps16x9`},
		{"part of a preset", []string{"-transcodingOptions", "240p"}, `did you mean P240p30fps16x9 or P240p25fps16x9 or P240p15fps16x9?`},
		{"wrong case", []string{"-transcodingOptions", "2g"}, `did you mean 2G?`},
		{"no such thing", []string{"-transcodingOptions", "xyzzyx"}, `there is no preset "xyzzyx": lpms presets lists them`},
		{"none and others", []string{"-transcodingOptions", "none,2G"}, `"none" stands alone: remove the other names`},
		{"comma too many", []string{"-transcodingOptions", "2G,"}, `"2G," has a comma too many`},
		{"twice", []string{"-transcodingOptions", "2G,P72p2fps16x9"}, `the rendition "P72p2fps16x9" stands there twice: remove one`},
		{"no file", []string{"-transcodingOptions", "ladder.json"}, `-transcodingOptions "ladder.json" cannot be read: no such file or directory`},
		{"a folder", []string{"-transcodingOptions", dir}, `is not a file: write the name of one`},
		{"a large file", []string{"-transcodingOptions", big}, `is longer than 65536 bytes`},
		{"broken JSON", []string{"-transcodingOptions", "[{"}, `-transcodingOptions: unexpected end of JSON input: write an array, as [{"name"`},
		{"bad JSON", []string{"-transcodingOptions", `[{"name":"a","width":-1}]`}, `profile 1 of 1 ("a"): width -1 and height 0: write 2 to`},
		{"empty JSON", []string{"-transcodingOptions", "[]"}, `the array is empty: write "none" for the source only`},
		{"JSON without usable name", []string{"-transcodingOptions", `[{"name":"a/b","width":256,"height":144}]`}, `profile 1 has the name "a/b": write 1 to 128 of`},
		{"the source's name", []string{"-transcodingOptions", `[{"name":"source","width":256,"height":144}]`}, `"source" is the name of the source`},
		{"VP9", []string{"-transcodingOptions", `[{"name":"a","width":256,"height":144,"encoder":"VP9"}]`}, `which cannot carry vp9: write H.264`},
		{"too many", []string{"-transcodingOptions", "[" + strings.Repeat(`{"width":256,"height":144},`, 10) + `{"width":256,"height":144}]`}, `11 renditions: write at most 10`},
		{"extra and explicit", []string{"-transcodingOptions", "2G", "-extraRenditions", "audio"},
			`-extraRenditions: adds to the automatic ladder, and -transcodingOptions is "2G": write all names there, or leave it out`},
		{"extra and none", []string{"-transcodingOptions", "none", "-extraRenditions", "audio"}, `-transcodingOptions is "none"`},
		{"unknown extra", []string{"-extraRenditions", "audios"}, `-extraRenditions: there is no preset "audios": did you mean audio?`},
		{"too many extra", []string{"-extraRenditions", "2G,audio,P144p30fps16x9,P144p25fps16x9,P144p15fps16x9,P240p30fps16x9"}, `write at most 5 names`},

		{"attempts", []string{"-maxAttempts", "-1"}, `-maxAttempts "-1": write a number from 0 to 10`},
		{"sessions", []string{"-maxSessions", "0"}, `-maxSessions "0": write a number from 1 to 10000`},
		{"preset", []string{"-preset", "quick"}, `-preset "quick": write one of ultrafast, superfast,`},
		{"device", []string{"-nvidia", "0,1"}, `-nvidia "0,1": write the number of one device`},
		{"truth", []string{"-monitor=yes"}, `-monitor "yes": write true or false`},
		{"no unit", []string{"-segmentDuration", "2"}, `-segmentDuration "2" has no unit: write "2s" for seconds`},
		{"short", []string{"-segmentDuration", "100ms"}, `write a time from 1s to 30s, as 2s or 1500ms`},
		{"negative", []string{"-reconnectWait", "-1s"}, `write a time from 0s to 1h, as`},
		{"metrics", []string{"-metricsPerStream"}, `-metricsPerStream: needs -monitor: add it`},
		{"no place for metrics", []string{"-monitor", "-cliAddr", "off"}, `-monitor: serves metrics at -cliAddr, which is "off": give it an address`},
		{"signal's name", []string{"-testSignal", "a/b"}, `-testSignal "a/b" cannot name a stream: write 1 to 128 of`},
		{"signals", []string{"-testSignal", "a,b,c,d,e"}, `write at most 4 names`},
		{"signal twice", []string{"-testSignal", "a,a"}, `"a" stands there twice`},
		{"more signals than streams", []string{"-testSignal", "a,b", "-maxSessions", "1"}, `-testSignal: has 2 names, but -maxSessions is 1`},
		{"webhook", []string{"-authWebhookUrl", "auth.example.com"}, `-authWebhookUrl: is no address to ask: write one like https://`},
		{"webhook by FTP", []string{"-authWebhookUrl", "ftp://example.com"}, `is no address to ask`},
		{"webhook at no port", []string{"-authWebhookUrl", "http://hush@auth.example.com:99999/"}, `is no address to ask`},
		{"config", []string{"-config", "/does/not/exist"}, `-config "/does/not/exist" cannot be read: no such file or directory`},

		{"key with spaces", []string{"-publishKey", "hush hush"}, `-publishKey: has spaces or control characters in it`},
		{"key file", []string{"-publishKey", "/hush"}, `-publishKey: names a file, as it begins with / or a dot, that cannot be read: no such file`},
		{"key in a folder", []string{"-publishKey", dir}, `-publishKey: names no file of at most 65536 bytes`},
		{"empty key file", []string{"-publishKey", empty}, `-publishKey: names a file that is empty`},
		{"long key", []string{"-publishKey", strings.Repeat("hush", 300)}, `-publishKey: is 1200 bytes long: write at most 1024`},

		{"recording", []string{"-recordStore", "s3://key:hush@eu/bucket"}, `-recordStore: this version does not record; remove the flag`},
		{"object store", []string{"-objectStore", "s3://key:hush@eu/bucket"}, `-objectStore: this version does not record; remove the flag`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { requireProblem(t, tt.want, tt.args...) })
	}
}

// requireProblem asserts that a command line has one problem, said in one short line without
// secrets.
func requireProblem(t *testing.T, want string, args ...string) {
	t.Helper()
	s, err := parse(args...)
	require.ErrorContains(t, err, want)
	require.Nil(t, s)
	require.NotContains(t, err.Error(), "\n", "one problem")
	require.NotContains(t, err.Error(), "hush", "a secret")
	require.Less(t, len(err.Error()), 400)
}

func TestAddressesThatDoNotCollide(t *testing.T) {
	for name, args := range map[string][]string{
		"free ports":     {"-rtmpAddr", ":0", "-httpAddr", ":0", "-cliAddr", "127.0.0.1:0"},
		"other hosts":    {"-rtmpAddr", "127.0.0.2:1", "-httpAddr", "127.0.0.1:1"},
		"other families": {"-rtmpAddr", "0.0.0.0:1", "-httpAddr", "[::1]:1"},
		"names":          {"-rtmpAddr", "a.example.com:1", "-httpAddr", "b.example.com:1"},
		"off":            {"-rtmpAddr", "off", "-cliAddr", "off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(args...)
			require.NoError(t, err)
		})
	}
}

func TestLadder(t *testing.T) {
	array := `[{"width":256,"height":144,"bitrate":100000,"fps":15},{"name":"b","width":128,"height":72}]`
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("plain", []byte(array), 0o600))
	require.NoError(t, os.WriteFile("ladder.json", []byte(array), 0o600))
	require.NoError(t, os.WriteFile("P144p30fps16x9", []byte(array), 0o600))

	tests := []struct {
		name  string
		args  []string
		auto  bool
		want  []string
		extra []string
	}{
		{"nothing", nil, true, []string{}, []string{}},
		{"auto", []string{"-transcodingOptions", "auto", "-extraRenditions", "2G, audio"}, true, []string{}, []string{"P72p2fps16x9", "audio"}},
		{"none", []string{"-transcodingOptions", "none"}, false, []string{}, []string{}},
		{"presets", []string{"-transcodingOptions", " P360p30fps16x9 , audio"}, false, []string{"P360p30fps16x9", "audio"}, []string{}},
		{"a preset with a file of its name", []string{"-transcodingOptions", "P144p30fps16x9"}, false, []string{"P144p30fps16x9"}, []string{}},
		{"JSON", []string{"-transcodingOptions", array}, false, []string{"256x144_100000", "b"}, []string{}},
		{"JSON file", []string{"-transcodingOptions", "./ladder.json"}, false, []string{"256x144_100000", "b"}, []string{}},
		{"a file of any name", []string{"-transcodingOptions", "plain"}, false, []string{"256x144_100000", "b"}, []string{}},
		{"no attempts", []string{"-maxAttempts", "0", "-transcodingOptions", "2G"}, false, []string{}, []string{}},
		{"no attempts, automatic", []string{"-maxAttempts", "0"}, false, []string{}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.args...)
			require.NoError(t, err)
			require.Equal(t, tt.auto, s.Auto)
			require.Equal(t, tt.want, Names(s.Renditions))
			require.Equal(t, tt.extra, Names(s.ExtraRenditions))
		})
	}
}

// What the light presets are for is in their sound too.
func TestNamedRenditionsHaveTheirSound(t *testing.T) {
	s, err := parse("-transcodingOptions", "2G,audio,P144p30fps16x9")
	require.NoError(t, err)
	require.Equal(t, "aac", s.Renditions[0].Audio.Name)
	require.Equal(t, "drop", s.Renditions[1].Video.Name)
	require.Empty(t, s.Renditions[2].Audio.Name)
}

func TestClosest(t *testing.T) {
	known := []string{"rtmpAddr", "httpAddr", "cliAddr", "v", "monitor"}
	for word, want := range map[string][]string{
		"rtmpaddr": {"rtmpAddr", "httpAddr"}, "Addr": {"rtmpAddr", "httpAddr", "cliAddr"}, "moniter": {"monitor"},
		"": nil, "zzzzzz": nil, "w": {"v"}, strings.Repeat("a", 1000): nil,
	} {
		require.Equal(t, want, closest(word, known), word)
	}
}

func TestParseLadder(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("plain", []byte(`[{"width":256,"height":144}]`), 0o600))
	tests := []struct {
		text string
		auto bool
		want []string
		err  string
	}{
		{"auto", true, []string{}, ""},
		{"none", false, []string{}, ""},
		{" P144p30fps16x9,audio\n", false, []string{"P144p30fps16x9", "audio"}, ""},
		{`[{"name":"a","width":256,"height":144}]`, false, []string{"a"}, ""},
		{"plain", false, nil, `there is no preset "plain"`},
		{"./plain", false, nil, `there is no preset "./plain"`},
		{"/etc/passwd", false, nil, `there is no preset "/etc/passwd"`},
		{`[{"name":"a","width":256,"height":144,"encoder":"AV1"}]`, false, nil, `profile 1 ("a"): segments are`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			auto, renditions, err := ParseLadder(tt.text)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.auto, auto)
			require.Equal(t, tt.want, Names(renditions))
		})
	}
}

func TestPresets(t *testing.T) {
	names := Presets()
	require.Equal(t, "P720p60fps16x9", names[0])
	require.Equal(t, []string{"2G", "P72p2fps16x9", "audio"}, names[len(names)-3:])
	require.Len(t, names, 19)
	for _, name := range names {
		_, renditions, err := ParseLadder(name)
		require.NoError(t, err)
		require.Len(t, renditions, 1)
	}
}
