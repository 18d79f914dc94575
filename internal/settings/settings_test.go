package settings

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
)

var update = flag.Bool("update", false, "write testdata anew")

// lookup makes an environment of a map.
func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func parse(args ...string) (*Settings, error) { return Parse(args, nil, io.Discard) }

// file writes a file of the test and gives its name.
func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDefaults(t *testing.T) {
	s, err := parse()
	require.NoError(t, err)
	require.Equal(t, &Settings{
		Broadcaster: true,
		V:           3, RTMPAddr: "127.0.0.1:1935", HTTPAddr: "127.0.0.1:8935", CLIAddr: "127.0.0.1:7935",
		Auto: true, Preset: "superfast", MaxAttempts: 3, HTTPIngest: true, MaxSessions: 10,
		SegmentDuration: 2 * time.Second, ReconnectWait: 10 * time.Second, WatchPage: true,
	}, s)
	require.Zero(t, ffmpeg.LiveHandles())
}

func TestEveryFlag(t *testing.T) {
	s, err := parse("-rtmpAddr", ":1", "-httpAddr=[::1]:2", "-cliAddr", "off", "-transcodingOptions", "none",
		"-maxAttempts", "1", "-onDemand", "-preset", "fast", "-jobs", "2", "-publishKey", "longenough",
		"-authWebhookUrl", "https://user:word@auth.example.com/lpms?token=1", "-httpIngest=false", "-maxSessions", "4",
		"-segmentDuration", "1500ms", "-reconnectWait", "0s", "-testSignal", "a, b", "-currentManifest",
		"-watchPage=false", "-realtime", "-v", "99", "-broadcaster")
	require.NoError(t, err)
	require.Equal(t, []string{"-broadcaster: this process does everything, it transcodes here."}, s.Warnings)
	s.Warnings = nil
	require.Equal(t, &Settings{
		Broadcaster: true,
		V:           99, RTMPAddr: ":1", HTTPAddr: "[::1]:2", CLIAddr: Off, TranscodingOptions: "none", Preset: "fast", MaxAttempts: 1,
		Jobs: 2, OnDemand: true, PublishKey: "longenough", AuthWebhookURL: "https://user:word@auth.example.com/lpms?token=1",
		MaxSessions: 4, SegmentDuration: 1500 * time.Millisecond, ReconnectWait: -1, TestSignals: []string{"a", "b"},
		CurrentManifest: true, Realtime: true,
	}, s)

	s, err = parse("-monitor", "-metricsPerStream", "-maxSessions", "4")
	require.NoError(t, err)
	require.True(t, s.Monitor && s.MetricsPerStream)
}

func TestPrecedence(t *testing.T) {
	text := "# of the machine\r\ntestSignal true\nmaxSessions 5\nv=6\n  -preset = \"fast\" # because\nmonitor\nhttpIngest false\n\njobs\t4\n"
	args := []string{"-config", file(t, "lpms.conf", text)}
	env := map[string]string{"LPMS_MAX_SESSIONS": "7", "LPMS_V": "8", "LPMS_JOBS": "", "LPMS_VERSION": "1"}

	tests := []struct {
		name              string
		args              []string
		env               map[string]string
		sessions, v, jobs int
		preset            string
	}{
		{"default", nil, nil, 10, 3, 0, "superfast"},
		{"file", args, nil, 5, 6, 4, "fast"},
		{"environment before file", args, env, 7, 8, 4, "fast"},
		{"flag before environment", append(args, "-maxSessions", "9", "-maxSessions=11"), env, 11, 8, 4, "fast"},
		{"file of the environment", nil, map[string]string{"LPMS_CONFIG": args[1]}, 5, 6, 4, "fast"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.args, lookup(tt.env), io.Discard)
			require.NoError(t, err)
			require.Equal(t, tt.sessions, s.MaxSessions)
			require.Equal(t, tt.v, s.V)
			require.Equal(t, tt.jobs, s.Jobs)
			require.Equal(t, tt.preset, s.Preset)
			require.Equal(t, s.Config == "", s.HTTPIngest)
			require.Equal(t, s.Config != "", s.Monitor)
			require.Equal(t, s.Config != "", len(s.TestSignals) == 1 && s.TestSignals[0] == "true")
		})
	}
}

func TestEverySettingIsAVariable(t *testing.T) {
	for name, want := range map[string]string{
		"rtmpAddr": "LPMS_RTMP_ADDR", "transcodingOptions": "LPMS_TRANSCODING_OPTIONS", "cliAddr": "LPMS_CLI_ADDR",
		"v": "LPMS_V", "natsURL": "LPMS_NATS_URL", "serviceAddr": "LPMS_SERVICE_ADDR", "onDemand": "LPMS_ON_DEMAND", "authWebhookUrl": "LPMS_AUTH_WEBHOOK_URL",
	} {
		require.Equal(t, want, envName(name))
	}
	var environ []string
	for _, name := range newParser().names() {
		environ = append(environ, envName(name)+"=x")
	}
	require.NoError(t, CheckEnv(environ))
}

func TestCheckEnv(t *testing.T) {
	environ := []string{
		"PATH=/bin", "LPMS_V=3", "LPMS_VERSION=1", "LPMS_SERVICE_HOST=10.0.0.1", "LPMS_SERVICE_PORT_RTMP=1935",
		"LPMS_PORT=tcp://10.0.0.1:1935", "LPMS_PORT_1935_TCP_ADDR=10.0.0.1",
		"LPMS_RTMPADDR=:1", "LPMS_PUBLISHKEY=secret", "LPMS_QQQQ=1",
	}
	before := append([]string{}, environ...)
	require.EqualError(t, CheckEnv(environ), `the variable "LPMS_PUBLISHKEY" sets nothing: did you mean LPMS_PUBLISH_KEY?
the variable "LPMS_QQQQ" sets nothing
the variable "LPMS_RTMPADDR" sets nothing: did you mean LPMS_RTMP_ADDR?`)
	require.Equal(t, before, environ)
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-help"}, {"-h"}, {"-rtmpAddr", "bad", "--help", "-nonsense"}, {"stray", "-help"}} {
		var out bytes.Buffer
		_, err := Parse(args, nil, &out)
		require.ErrorIs(t, err, flag.ErrHelp)
		golden := filepath.Join("testdata", "help.txt")
		if *update {
			require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), out.String(), "go test ./internal/settings -update writes it anew")
	}
	for line := range strings.Lines(help(newParser().options)) {
		require.LessOrEqual(t, len(line), 101, line)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestHelpThatCannotBeWritten(t *testing.T) {
	_, err := Parse([]string{"-help"}, nil, failingWriter{})
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"-version"}, {"--version=1"}, {"-rtmpAddr", "bad", "-version"}} {
		s, err := parse(args...)
		require.NoError(t, err)
		require.Equal(t, &Settings{Version: true}, s)
	}
	s, err := parse("-version=false")
	require.NoError(t, err)
	require.False(t, s.Version)
}

func TestAllProblemsAtOnce(t *testing.T) {
	config := file(t, "lpms.conf", "maxSesions 3\nv 1\nv 2\nversion true\njobs many\nrtmpAddr\n")
	_, err := Parse([]string{"-httpAdr", ":1", "-config", config, "stray", "-rtmpAddr", "1935", "-monitor", "false", "-=", "-cliAddr"},
		lookup(map[string]string{"LPMS_MAX_ATTEMPTS": "a\nb"}), io.Discard)
	require.EqualError(t, err, strings.TrimSpace(`
there is no flag "-httpAdr": did you mean -httpAddr?
"stray" belongs to no flag: write -name value (lpms -help lists the names)
"false" belongs to no flag: write -monitor=false
"-=" is no flag: write -name value or -name=value
-cliAddr: has no value
lpms.conf:1: there is no setting "maxSesions": did you mean maxSessions?
lpms.conf:3: v stands in line 2 too: remove one of them
lpms.conf:4: version has no meaning in a file: remove the line
lpms.conf:6: rtmpAddr has no value: write it behind the name
-rtmpAddr "1935" is not host:port: write 127.0.0.1:1935 for this machine only, or :1935 for all interfaces
-maxAttempts (from LPMS_MAX_ATTEMPTS) "a\nb": write a number from 0 to 10
-jobs (from lpms.conf:5) "many": write a number from 0 to 256`))
	var typed *Error
	require.ErrorAs(t, err, &typed)

	_, err = parse("-config", file(t, "big", strings.Repeat("x\n", 1000)))
	require.Len(t, strings.Split(err.Error(), "\n"), maxProblems+1)
	require.ErrorContains(t, err, "and more")
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"private", []string{"-rtmpAddr", "localhost:1", "-httpAddr", "[::1]:2", "-cliAddr", "127.0.0.2:3"}, nil},
		{"open", []string{"-rtmpAddr", ":1", "-httpAddr", "0.0.0.0:2"},
			[]string{`anybody who reaches -rtmpAddr ":1" or -httpAddr "0.0.0.0:2" may publish: set -publishKey.`}},
		{"no push", []string{"-httpAddr", ":2", "-httpIngest=false"}, nil},
		{"a key", []string{"-rtmpAddr", ":1", "-publishKey", "12345678"}, nil},
		{"webhook", []string{"-rtmpAddr", ":1", "-authWebhookUrl", "http://127.0.0.1/"}, nil},
		{"short key", []string{"-publishKey", "1234567"}, []string{"shorter than 8"}},
		{"key to escape", []string{"-publishKey", "1234567&"}, []string{"percent-encoded"}},
		{"admin", []string{"-cliAddr", "example.com:7935"}, []string{`-cliAddr "example.com:7935" is not private`}},
		{"source only", []string{"-maxAttempts", "0", "-extraRenditions", "2G"}, []string{"-maxAttempts 0 makes no renditions"}},
		{"source only, nothing asked for", []string{"-maxAttempts", "0"}, nil},
		{"HEVC", []string{"-transcodingOptions", `[{"name":"h","width":256,"height":144,"encoder":"HEVC"}]`}, []string{"h is HEVC"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.args...)
			require.NoError(t, err)
			require.Len(t, s.Warnings, len(tt.want), "%q", s.Warnings)
			for i, want := range tt.want {
				require.Contains(t, s.Warnings[i], want)
			}
		})
	}
}

func TestPublishKeyFile(t *testing.T) {
	s, err := parse("-publishKey", file(t, "key", "  of-the-file\n"))
	require.NoError(t, err)
	require.Equal(t, "of-the-file", s.PublishKey)

	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("key", []byte("of-this-folder"), 0o600))
	s, err = parse("-publishKey", "key")
	require.NoError(t, err)
	require.Equal(t, "of-this-folder", s.PublishKey)
}

func TestPublicKeepsSecrets(t *testing.T) {
	s, err := parse("-publishKey", "do-not-tell", "-authWebhookUrl", "https://user:do-not-tell@example.com/a?token=do-not-tell",
		"-transcodingOptions", "P144p30fps16x9,2G", "-reconnectWait", "0", "-nvidia", "0")
	if errors.Is(err, ffmpeg.ErrFormat) {
		t.Skip("FFmpeg without NVENC")
	}
	require.NoError(t, err)
	m := s.Public()
	require.Equal(t, true, m["publishKeySet"])
	require.Equal(t, "https://example.com/a", m["authWebhookUrl"])
	require.Equal(t, []string{"P144p30fps16x9", s.Renditions[1].Profile.Name}, m["renditions"])
	require.Equal(t, "0s", m["reconnectWait"])
	require.Equal(t, "2s", m["segmentDuration"])
	require.Equal(t, "0", m["nvidia"])

	// Nothing that can be set is forgotten.
	for _, o := range newParser().options {
		if o.group != "" && o.name != "version" && o.name != "publishKey" && o.name != "orchSecret" {
			require.Contains(t, m, o.name)
		}
	}
	text := s.publicText()
	require.NotContains(t, text, "do-not-tell")
	require.NotContains(t, text, "token")
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "-rtmpAddr\x00:1", "-transcodingOptions\x00[{}]", "-transcodingOptions\x00P144p30fps16x9,2G", "-=\x00---\x00--\x00-",
		"-v\x00-1\x00-help", "-httpAddr\x00[::1%eth0]:1", "-segmentDuration\x00-1h", "-testSignal\x00,,", "-nope=1\x00x", "-publishKey\x00\xff",
		"-authWebhookUrl\x00http://[::1", "-extraRenditions\x00audio,audio", "-maxAttempts\x000", "-orchAddr\x00x",
		"-transcoder\x00-orchAddr\x00a:1,[::1]:2\x00-orchSecret\x00s", "-broadcaster\x00-natsURL\x00nats://u:p@[::1]:1,tls://b", "-orchFingerprint\x00aa:",
		"-orchestrator\x00-serviceAddr\x00:1\x00-orchSecret\x00s\x00-transcoder\x00-maxSessions\x003",
	} {
		f.Add(seed, "maxSessions 3\nx=y\n", ":1")
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, line, config, variable string) {
		args := strings.Split(line, "\x00")
		path := filepath.Join(dir, "fuzz.conf")
		require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
		env := func(name string) (string, bool) {
			if name == "LPMS_CONFIG" {
				return path, true
			}
			return variable, len(name)%2 == 0
		}
		s, err := Parse(args, env, io.Discard)
		if err == nil {
			require.NotEmpty(t, s.publicText())
			require.True(t, s.Version || s.Broadcaster || s.Orchestrator || s.Transcoder)
			require.Equal(t, s.Version || s.Orchestrator, s.ServiceAddr != "" || s.Version)
			require.Equal(t, s.Broadcaster || s.Version, s.HTTPAddr != Off)
			require.False(t, (s.Orchestrator || len(s.OrchAddr) > 0) && s.OrchSecret == "")
			require.LessOrEqual(t, len(s.Renditions), ffmpeg.MaxRenditions)
			return
		}
		require.Nil(t, s)
		require.LessOrEqual(t, strings.Count(err.Error(), "\n"), maxProblems)
	})
}
