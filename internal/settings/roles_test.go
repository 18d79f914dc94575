package settings

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/ffmpeg"
)

// The commands that people know start the three roles without a word. The broadcaster needs the
// secret, too.
func TestRecipe(t *testing.T) {
	s, err := parse(strings.Fields("-orchestrator -cliAddr 127.0.0.1:7936 -httpAddr 127.0.0.1:8936 -serviceAddr 127.0.0.1:8936 -orchSecret secret -v 99")...)
	require.NoError(t, err)
	require.Empty(t, s.Warnings)
	require.Equal(t, [3]bool{false, true, false}, [3]bool{s.Broadcaster, s.Orchestrator, s.Transcoder})
	require.Equal(t, []string{Off, Off, "127.0.0.1:7936", "127.0.0.1:8936", "secret"}, []string{s.RTMPAddr, s.HTTPAddr, s.CLIAddr, s.ServiceAddr, s.OrchSecret})
	require.False(t, s.UsesWorkers())
	require.Equal(t, 99, s.V)

	s, err = parse(strings.Fields("-transcoder -cliAddr 127.0.0.1:7937 -httpAddr 127.0.0.1:8937 -orchAddr 127.0.0.1:8936 -orchSecret secret -v 99")...)
	require.NoError(t, err)
	require.Empty(t, s.Warnings)
	require.Equal(t, [3]bool{false, false, true}, [3]bool{s.Broadcaster, s.Orchestrator, s.Transcoder})
	require.Equal(t, []string{"127.0.0.1:8936"}, s.OrchAddr)
	require.Equal(t, []string{Off, Off, "127.0.0.1:7937", ""}, []string{s.RTMPAddr, s.HTTPAddr, s.CLIAddr, s.ServiceAddr})
	require.False(t, s.UsesWorkers())
	require.Zero(t, s.Capacity)

	recipe := "-broadcaster -currentManifest -cliAddr 127.0.0.1:7935 -rtmpAddr 127.0.0.1:1935 -httpAddr 127.0.0.1:8935 -orchAddr 127.0.0.1:8936 -transcodingOptions P144p30fps16x9 -v 99"
	s, err = parse(strings.Fields(recipe + " -orchSecret secret")...)
	require.NoError(t, err)
	require.Empty(t, s.Warnings)
	require.Equal(t, [3]bool{true, false, false}, [3]bool{s.Broadcaster, s.Orchestrator, s.Transcoder})
	require.Equal(t, []string{"127.0.0.1:1935", "127.0.0.1:8935"}, []string{s.RTMPAddr, s.HTTPAddr})
	require.True(t, s.CurrentManifest && s.UsesWorkers())

	_, err = parse(strings.Fields(recipe)...)
	require.EqualError(t, err, "-orchSecret: is missing, and anybody could send or take work: "+
		"make one with `openssl rand -hex 16 > orch.secret`, and give all roles -orchSecret orch.secret")
}

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestRoles(t *testing.T) {
	const (
		orch   = "-orchestrator -orchSecret long-enough -serviceAddr "
		worker = "-transcoder -orchSecret long-enough -orchAddr "
	)
	cert := file(t, "service.crt", "not looked at")
	key := file(t, "service.key", "not looked at")
	tests := []struct {
		name, args string
		workers    bool
		check      func(*testing.T, *Settings)
	}{
		{"broadcaster by default", "", false, func(t *testing.T, s *Settings) { require.True(t, s.Broadcaster) }},
		{"no role is the default", "-broadcaster=false", false, func(t *testing.T, s *Settings) { require.True(t, s.Broadcaster) }},
		{"all in one process", orch + ":8936 -broadcaster -transcoder", true, func(t *testing.T, s *Settings) {
			require.True(t, s.Broadcaster && s.Orchestrator && s.Transcoder)
			require.Equal(t, "127.0.0.1:1935", s.RTMPAddr)
		}},
		{"broadcaster and orchestrator", orch + "[::1]:0 -broadcaster -localFallback -requireAccel nvidia", true, func(t *testing.T, s *Settings) {
			require.True(t, s.LocalFallback)
			require.Equal(t, ffmpeg.Nvidia, s.RequireAccel)
		}},
		{"broadcaster that is worker, too", "-broadcaster " + worker + "a:1", true, nil},
		{"certificate", orch + ":1 -serviceCert " + cert + " -serviceKey " + key, false, func(t *testing.T, s *Settings) {
			require.Equal(t, []string{cert, key}, []string{s.ServiceCert, s.ServiceKey})
		}},
		{"several orchestrators", worker + "a:1,b.example.com:02,[::1]:3", false, func(t *testing.T, s *Settings) {
			require.Equal(t, []string{"a:1", "b.example.com:2", "[::1]:3"}, s.OrchAddr)
		}},
		{"fingerprints", worker + "a:1 -orchFingerprint " + sum + "," + strings.TrimSuffix(strings.Repeat("AB:", 32), ":"), false, func(t *testing.T, s *Settings) {
			require.Equal(t, []string{sum, strings.Repeat("ab", 32)}, s.OrchFingerprints)
		}},
		{"NATS", "-broadcaster -natsURL nats://127.0.0.1,tls://me:pass%2Fword@NATS.example.com:4333/", true, func(t *testing.T, s *Settings) {
			require.Equal(t, []string{"nats://127.0.0.1:4222", "tls://me:pass%2Fword@nats.example.com:4333"}, s.NATSURL)
			require.Empty(t, s.OrchSecret)
		}},
		{"NATS with the secret as its password", "-transcoder -natsURL tls://10.0.0.1,tls://[2001:db8::1] -orchSecret s", false, func(t *testing.T, s *Settings) {
			require.Equal(t, "s", s.OrchSecret)
			require.Equal(t, []string{"tls://10.0.0.1:4222", "tls://[2001:db8::1]:4222"}, s.NATSURL)
		}},
		{"no acceleration", orch + ":1 -broadcaster -requireAccel=", true, func(t *testing.T, s *Settings) {
			require.Equal(t, ffmpeg.Software, s.RequireAccel)
		}},
		{"addresses that are not listened on", orch + "127.0.0.1:8935", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(strings.Fields(tt.args)...)
			require.NoError(t, err)
			require.Empty(t, s.Warnings)
			require.Equal(t, tt.workers, s.UsesWorkers())
			if tt.check != nil {
				tt.check(t, s)
			}
		})
	}
}

func TestRoleProblems(t *testing.T) {
	const (
		orch   = "-orchestrator -orchSecret hush-hush -serviceAddr 127.0.0.1:8936 "
		worker = "-transcoder -orchSecret hush-hush "
		caster = "-broadcaster -orchSecret hush-hush "
	)
	cert, dir := file(t, "service.crt", ""), t.TempDir()
	nine := strings.Repeat("a:1,", 8) + "a:1"
	tests := []struct{ name, args, want string }{
		{"nowhere to listen", "-orchestrator -orchSecret hush-hush", `-orchestrator: needs the address to listen on: add -serviceAddr 127.0.0.1:8936 for this machine only, or`},
		{"no orchestrator", "-serviceAddr :8936", `-serviceAddr: needs -orchestrator: add it, or remove this flag`},
		{"transcoders do not listen", worker + "-orchAddr a:1 -serviceAddr :8936", `-serviceAddr: needs -orchestrator`},
		{"bare port", "-orchestrator -orchSecret hush-hush -serviceAddr 8936", `-serviceAddr "8936" is not host:port: write 127.0.0.1:8936 for`},
		{"off", "-orchestrator -orchSecret hush-hush -serviceAddr off", `this one is needed: write 127.0.0.1:8936 or :8936`},
		{"the admin port", orch + "-cliAddr :8936", `-serviceAddr "127.0.0.1:8936" and -cliAddr ":8936" are the same port`},
		{"the HTTP port", orch + "-broadcaster -httpAddr 127.0.0.1:8936", `-serviceAddr "127.0.0.1:8936" and -httpAddr "127.0.0.1:8936" are the same port`},
		{"the RTMP port", orch + "-broadcaster -rtmpAddr :8936", `-serviceAddr "127.0.0.1:8936" and -rtmpAddr ":8936" are the same port`},
		{"role that is no truth", worker + "-orchestrator=yes", `-orchestrator "yes": write true or false`},

		{"certificate alone", orch + "-serviceCert " + cert, `-serviceCert: needs -serviceKey: add it, or leave both out for a certificate that lpms makes`},
		{"key alone", orch + "-serviceKey " + cert, `-serviceKey: needs -serviceCert: add it`},
		{"certificate of nobody", worker + "-orchAddr a:1 -serviceCert " + cert, `-serviceCert: needs -orchestrator`},
		{"certificate that is not there", orch + "-serviceKey " + cert + " -serviceCert /nowhere", `-serviceCert "/nowhere" cannot be read: no such file`},
		{"key that is a folder", orch + "-serviceCert " + cert + " -serviceKey " + dir, `is not a file: write the name of one`},

		{"transcoder alone", "-transcoder", `-transcoder: has nobody to work for: add -orchAddr HOST:8936 (or -natsURL), or -orchestrator when that is this process`},
		{"transcoder and broadcaster", "-transcoder -broadcaster", `-transcoder: has nobody to work for`},
		{"address without a role", "-orchAddr a:1 -orchSecret hush-hush", `-orchAddr: needs a role: add -broadcaster to have the streams of this machine transcoded there, or -transcoder`},
		{"orchestrator that connects", orch + "-orchAddr a:1", `-orchAddr: is for those who connect to an orchestrator: add -broadcaster or -transcoder`},
		{"two orchestrators", orch + "-transcoder -orchAddr a:1", `-orchAddr: is of no use with -orchestrator, because the one in this process is used`},
		{"address without port", caster + "-orchAddr a", `-orchAddr "a" is not host:port: write a:8936`},
		{"address with an empty port", caster + "-orchAddr a:", `-orchAddr "a:" has no port: write a:8936`},
		{"address without host", caster + "-orchAddr :8936", `-orchAddr ":8936" has no host: write 127.0.0.1:8936 for this machine`},
		{"port alone", caster + "-orchAddr 8936", `-orchAddr "8936" is not host:port: write 127.0.0.1:8936 for this machine`},
		{"port 0", caster + "-orchAddr a:0", `nobody can connect to port 0: write a:8936`},
		{"large port", caster + "-orchAddr a:65536", `is not host:port`},
		{"URL", caster + "-orchAddr https://a:8936/", `-orchAddr "https://a:8936/" is not host:port: write a:8936`},
		{"comma too many", caster + "-orchAddr a:1,", `-orchAddr "" is not host:port: write orchestrator.example.com:8936`},
		{"address twice", caster + "-orchAddr a:1,A:01", `-orchAddr "A:1" stands there twice: remove one`},
		{"nine addresses", caster + "-orchAddr " + nine, `write at most 8 addresses`},

		{"no secret of an orchestrator", "-orchestrator -serviceAddr :1", "-orchSecret: is missing, and anybody could send or take work: make one with `openssl rand -hex 16"},
		{"no secret of a transcoder", "-transcoder -orchAddr a:1", "-orchSecret: is missing"},
		{"empty secret", "-transcoder -orchAddr a:1 -orchSecret=", "-orchSecret: is missing"},
		{"secret of nobody", "-orchSecret hush-hush", `-orchSecret: needs -orchestrator or -orchAddr: add one of them`},
		{"secret of one who does all", caster, `-orchSecret: needs -orchestrator or -orchAddr`},
		{"secret file", "-transcoder -orchAddr a:1 -orchSecret /hush", `-orchSecret: names a file, as it begins with / or a dot, that cannot be read`},
		{"secret with spaces", "-transcoder -orchAddr a:1 -orchSecret hush\u00a0hush", `-orchSecret: has spaces or control characters in it`},

		{"fingerprint of nobody", "-broadcaster -orchFingerprint " + sum, `-orchFingerprint: needs -orchAddr, whose certificate it names`},
		{"fingerprint and NATS", "-broadcaster -natsURL tls://a -orchFingerprint " + sum, `-orchFingerprint: needs -orchAddr`},
		{"fingerprint of an orchestrator", orch + "-orchFingerprint " + sum, `-orchFingerprint: is for those who connect`},
		{"short fingerprint", caster + "-orchAddr a:1 -orchFingerprint " + sum[1:], `is no SHA-256: write the 64 hex digits that the orchestrator prints when it starts`},
		{"fingerprint of letters", caster + "-orchAddr a:1 -orchFingerprint g" + sum[1:], `is no SHA-256`},
		{"fingerprint twice", caster + "-orchAddr a:1 -orchFingerprint " + sum + "," + strings.ToUpper(sum), `stands there twice`},
		{"nine fingerprints", caster + "-orchAddr a:1 -orchFingerprint " + nine, `has 9 fingerprints: write at most 8`},

		{"NATS without a role", "-natsURL nats://hush@127.0.0.1", `-natsURL: needs a role: add -broadcaster`},
		{"NATS of an orchestrator", orch + "-natsURL nats://hush@127.0.0.1", `-natsURL: stands in place of an orchestrator: remove it, or -orchestrator`},
		{"NATS and orchestrator", caster + "-orchAddr a:1 -natsURL nats://hush@127.0.0.1", `-natsURL: stands in place of an orchestrator: remove it, or -orchAddr`},
		{"NATS by WebSocket", "-broadcaster -natsURL wss://hush@a", `-natsURL: is a WebSocket, which lpms does not use: write tls://`},
		{"NATS by HTTP", "-broadcaster -natsURL http://hush@a", `-natsURL: does not begin with nats:// or tls://: write one like tls://user:password@`},
		{"NATS without scheme", "-broadcaster -natsURL 127.0.0.1:4222", `-natsURL: is no URL: write one like`},
		{"NATS without host", "-broadcaster -natsURL tls://hush@:4222", `-natsURL: has no valid host`},
		{"NATS at a bad host", "-broadcaster -natsURL tls://hush@10.0.1", `-natsURL: has no valid host`},
		{"NATS at port 0", "-broadcaster -natsURL tls://hush@a:0", `-natsURL: has no valid port`},
		{"NATS at a large port", "-broadcaster -natsURL tls://hush@a:65536", `-natsURL: has no valid port`},
		{"NATS with a path", "-broadcaster -natsURL tls://a/hush", `-natsURL: has something behind the port`},
		{"NATS with a query", "-broadcaster -natsURL tls://a?hush", `-natsURL: has something behind the port`},
		{"bad password", "-broadcaster -natsURL tls://a,tls://me:hush%@b", `-natsURL: URL 2 of 2 is no URL: write one like`},
		{"NATS twice", "-broadcaster -natsURL tls://a,nats://hush@A:4222", `URL 2 of 2 has the host and port of another one`},
		{"nine of NATS", "-broadcaster -natsURL " + nine, `has 9 URLs: write at most 8`},
		{"long URL", "-broadcaster -natsURL tls://" + strings.Repeat("hush", 600), `is 2406 bytes long: write at most 2048`},

		{"fallback for nothing", "-localFallback", `-localFallback: has no meaning without transcoders: add -broadcaster and -orchAddr, or remove`},
		{"fallback of one who does all", "-broadcaster -localFallback", `-localFallback: has no meaning without transcoders`},
		{"segments for nobody", "-segmentURL http://10.0.0.5:8935", `-segmentURL: has no meaning without transcoders`},
		{"segments by FTP", caster + "-orchAddr a:1 -segmentURL ftp://a", `-segmentURL "ftp://a" is no address: write one like http://10.0.0.5:8935`},
		{"segments with a password", caster + "-orchAddr a:1 -segmentURL http://hush@a", `-segmentURL: has a user, a query or a fragment`},
		{"acceleration of nobody", "-requireAccel nvidia", `-requireAccel: has no meaning without transcoders`},
		{"unknown acceleration", caster + "-orchAddr a:1 -requireAccel amd", `-requireAccel "amd": write nvidia, or leave it out`},
		{"too much at a time", worker + "-orchAddr a:1 -maxSessions 257", `-maxSessions "257": with -transcoder it is how many segments are transcoded at the same time: write a number from 1 to 256`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { requireProblem(t, tt.want, strings.Split(strings.TrimSpace(tt.args), " ")...) })
	}
}

func TestRoleWarnings(t *testing.T) {
	const secret = " -orchSecret long-enough"
	tests := []struct{ name, args, want string }{
		{"does everything", "-broadcaster", `-broadcaster: this process does everything, it transcodes here.`},
		{"short secret here", "-orchestrator -serviceAddr localhost:1 -orchSecret s", ""},
		{"short secret for others", "-orchestrator -serviceAddr :1 -orchSecret s", `-orchSecret is shorter than 8 characters: somebody may guess it.`},
		{"short secret elsewhere", "-transcoder -orchAddr 127.0.0.1:1,a:1 -orchSecret s", `-orchSecret is shorter than 8 characters: somebody may guess it.`},
		{"plain NATS here", "-transcoder -natsURL nats://localhost,nats://[::1]:1", ""},
		{"plain NATS", "-transcoder -natsURL tls://a,nats://me:hush@b,nats://127.0.0.1,nats://10.0.0.1:1",
			`segments and the password travel to nats://b:4222, nats://10.0.0.1:1 unencrypted: write tls:// in -natsURL, and set TLS up there.`},
		{"private by role", "-transcoder -orchAddr a:1 -rtmpAddr :1935 -httpAddr :8935" + secret, ""},
		{"one flag of others", "-transcoder -orchAddr a:1 -onDemand" + secret, `-onDemand is for the broadcaster and does nothing here.`},
		{"flags of others", "-transcoder -orchAddr a:1 -realtime -maxAttempts x -testSignal a,b -transcodingOptions nosuch -localFallback -preset fast -publishKey s" + secret,
			`-transcodingOptions, -maxAttempts, -publishKey, -testSignal, -realtime, -localFallback are for the broadcaster and do nothing here.`},
		{"flags of workers", "-orchestrator -serviceAddr :1 -jobs 2 -nvidia 0" + secret, `-nvidia, -jobs are for the broadcaster or the transcoder and do nothing here.`},
		{"admin", "-transcoder -orchAddr a:1 -cliAddr a:2" + secret, `-cliAddr "a:2" is not private: whoever reaches it may change settings and read the memory of the program; ` +
			`write 127.0.0.1 in front of the port, or keep it behind a firewall.`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(strings.Fields(tt.args)...)
			require.NoError(t, err)
			if tt.want == "" {
				require.Empty(t, s.Warnings)
				return
			}
			require.Equal(t, []string{tt.want}, s.Warnings)
		})
	}
}

// One file may serve all machines: what is for other roles is left out there, whatever it says.
func TestOneFileForAllRoles(t *testing.T) {
	config := file(t, "lpms.conf", "rtmpAddr :1935\nhttpAddr :8936\nserviceAddr :8936\nserviceCert /nowhere.crt\nserviceKey /nowhere.key\n"+
		"orchAddr a:8936\norchFingerprint "+sum+"\norchSecret long-enough\ntranscodingOptions nosuch.json\nlocalFallback\nrequireAccel nvidia\njobs 3\n")
	env := lookup(map[string]string{"LPMS_CONFIG": config, "LPMS_REALTIME": "1"})

	s, err := Parse([]string{"-transcoder"}, env, io.Discard)
	require.NoError(t, err)
	require.Empty(t, s.Warnings)
	require.Equal(t, []string{"a:8936", "", "", Off, ""}, []string{s.OrchAddr[0], s.ServiceAddr, s.ServiceCert, s.HTTPAddr, s.TranscodingOptions})
	require.False(t, s.LocalFallback || s.Realtime)
	require.Equal(t, 3, s.Capacity)

	env = lookup(map[string]string{"LPMS_CONFIG": config, "LPMS_ORCHESTRATOR": "true", "LPMS_SERVICE_CERT": config, "LPMS_SERVICE_KEY": config})
	s, err = Parse(nil, env, io.Discard)
	require.NoError(t, err)
	require.Empty(t, s.Warnings)
	require.Empty(t, s.OrchAddr)
	require.Empty(t, s.OrchFingerprints)
	require.Equal(t, []string{":8936", Off, config}, []string{s.ServiceAddr, s.HTTPAddr, s.ServiceKey})
	require.Zero(t, s.Jobs)

	// Without a role nobody can know what it is for.
	_, err = Parse([]string{"-config", config}, nil, io.Discard)
	require.ErrorContains(t, err, "-serviceAddr (from lpms.conf:3): needs -orchestrator")
	require.ErrorContains(t, err, "-orchAddr (from lpms.conf:6): needs a role")
}

func TestCapacity(t *testing.T) {
	const worker, all = "-transcoder -orchSecret long-enough -orchAddr a:1 ", "-broadcaster -transcoder -orchestrator -orchSecret long-enough -serviceAddr :1 "
	tests := []struct {
		name, args         string
		capacity, sessions int
	}{
		{"measured", worker, 0, 10},
		{"sessions", worker + "-maxSessions 4", 4, 10},
		{"jobs", worker + "-jobs 3", 3, 10},
		{"sessions before jobs", worker + "-maxSessions 4 -jobs 3", 4, 10},
		{"the most", worker + "-maxSessions 256", 256, 10},
		{"all roles", all + "-maxSessions 4", 4, 4},
		{"all roles, measured", all, 0, 10},
		{"broadcaster", "-broadcaster -natsURL tls://a -maxSessions 300 -jobs 3", 0, 300},
		{"no role", "-maxSessions 5", 0, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(strings.Fields(tt.args)...)
			require.NoError(t, err)
			require.Equal(t, tt.capacity, s.Capacity)
			require.Equal(t, tt.sessions, s.MaxSessions)
		})
	}
}

func TestSecretOfAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("orch.secret", []byte("of-the-file\n"), 0o600))
	for _, name := range []string{"orch.secret", "./orch.secret"} {
		s, err := parse("-transcoder", "-orchAddr", "a:1", "-orchSecret", name)
		require.NoError(t, err)
		require.Equal(t, "of-the-file", s.OrchSecret)
	}
}

func TestPublicKeepsSecretsOfRoles(t *testing.T) {
	s, err := parse("-broadcaster", "-natsURL", "tls://user:do-not-tell@a,tls://do-not-tell@b:1", "-orchSecret", "do-not-tell", "-requireAccel", "nvidia", "-localFallback")
	require.NoError(t, err)
	m := s.Public()
	require.Equal(t, []string{"tls://a:4222", "tls://b:1"}, m["natsURL"])
	require.Equal(t, []any{true, false, true, "nvidia", true}, []any{m["broadcaster"], m["transcoder"], m["orchSecretSet"], m["requireAccel"], m["localFallback"]})
	require.NotContains(t, s.publicText(), "do-not-tell")

	s, err = parse("-transcoder", "-orchAddr", "a:1", "-orchFingerprint", sum, "-orchSecret", "do-not-tell", "-jobs", "2")
	require.NoError(t, err)
	m = s.Public()
	require.Equal(t, []any{[]string{"a:1"}, []string{sum}, 2, []string{}}, []any{m["orchAddr"], m["orchFingerprint"], m["capacity"], m["natsURL"]})
	require.NotContains(t, s.publicText(), "do-not-tell")
}
