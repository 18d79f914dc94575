package deploy_test

import (
	"bytes"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/livepeer/lpms/internal/settings"
)

func TestCompose(t *testing.T) {
	text := read(t, "compose.yaml")
	c := composeFile(t, text)
	require.Equal(t, []string{"lpms"}, slices.Collect(maps.Keys(c.Services)))
	lpms := c.Services["lpms"]
	require.Equal(t, []string{"1935:1935", "8935:8935"}, lpms.Ports)
	require.Equal(t, "unless-stopped", lpms.Restart)
	require.Equal(t, "1500m", lpms.MemLimit)
	require.True(t, lpms.ReadOnly)
	require.FileExists(t, filepath.Join(lpms.Build.Context, lpms.Build.Dockerfile))
	require.Contains(t, lpms.Environment["LPMS_PUBLISH_KEY"], "${LPMS_PUBLISH_KEY:?", "nobody publishes without a key")
	lpms.Environment["LPMS_PUBLISH_KEY"] = "a-long-secret"
	require.Empty(t, parse(t, nil, lpms.Environment).Warnings)

	// What is commented out is YAML and settings when the comments are removed.
	text = regexp.MustCompile(`(?m)^( +)# (publisher:|  .*|LPMS_.*)$`).ReplaceAllString(text, "$1$2")
	c = composeFile(t, text)
	require.Contains(t, c.Services, "publisher")
	require.Contains(t, c.Services["publisher"].Command[2], `"rtmp://lpms:1935/test?key=${LPMS_PUBLISH_KEY}"`)
	all := c.Services["lpms"].Environment
	require.Greater(t, len(all), len(lpms.Environment))
	all["LPMS_PUBLISH_KEY"] = "a-long-secret"
	parse(t, nil, all)
}

// imageEnvironment is that of the image, which a service's is added to.
func imageEnvironment(t *testing.T) map[string]string {
	env := map[string]string{}
	for _, pair := range strings.Fields(strings.Join(verbs(dockerfile(t)[1], "ENV"), " ")) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

var reference = regexp.MustCompile(`\$\{([A-Z_]+)(?:(:\?|:-)([^}]*))?\}`)

// settingsOf makes the settings of a service, with the variables of .env.
func settingsOf(t *testing.T, s service, dotenv map[string]string) *settings.Settings {
	t.Helper()
	env := imageEnvironment(t)
	for name, value := range s.Environment {
		env[name] = reference.ReplaceAllStringFunc(value, func(text string) string {
			m := reference.FindStringSubmatch(text)
			require.True(t, dotenv[m[1]] != "" || m[2] == ":-", m[1])
			return dotenv[m[1]]
		})
	}
	return parse(t, s.Command, env)
}

func TestComposeCluster(t *testing.T) {
	text := read(t, "compose-cluster.yaml")
	dotenv := map[string]string{"LPMS_PUBLISH_KEY": secret, "LPMS_ORCH_SECRET": secret}
	check := func(t *testing.T, text, fingerprint string) compose {
		c := composeFile(t, text)
		require.ElementsMatch(t, []string{"orchestrator", "transcoder", "broadcaster"}, slices.Collect(maps.Keys(c.Services)))
		dotenv["LPMS_ORCH_FINGERPRINT"] = fingerprint
		for name, s := range c.Services {
			require.Equal(t, []string{"-" + name}, s.Command)
			require.Equal(t, "unless-stopped", s.Restart)
			require.True(t, s.ReadOnly)
			require.NotEmpty(t, s.MemLimit)
			require.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
			set := settingsOf(t, s, dotenv)
			require.Empty(t, set.Warnings)
			require.Equal(t, [3]bool{name == "broadcaster", name == "orchestrator", name == "transcoder"},
				[3]bool{set.Broadcaster, set.Orchestrator, set.Transcoder})
			require.Equal(t, secret, set.OrchSecret)
			if name == "orchestrator" {
				continue
			}
			require.Equal(t, []string{"orchestrator"}, s.DependsOn)
			_, port, err := net.SplitHostPort(set.OrchAddr[0])
			require.NoError(t, err)
			require.Contains(t, c.Services["orchestrator"].Environment["LPMS_SERVICE_ADDR"], port)
			if fingerprint != "" {
				require.Len(t, set.OrchFingerprints, 1)
			}
		}
		return c
	}
	c := check(t, text, "")
	check(t, text, strings.Repeat("0b", 32))

	// The orchestrator's certificate stays, in a volume of its user.
	require.Equal(t, []string{"orchestrator:" + imageEnvironment(t)["STATE_DIRECTORY"]}, c.Services["orchestrator"].Volumes)
	require.Contains(t, c.Volumes, "orchestrator")
	require.Contains(t, verbs(dockerfile(t)[1], "RUN")[0], "install -d -o lpms -g lpms -m 700 "+imageEnvironment(t)["STATE_DIRECTORY"])
	require.Equal(t, []string{"1935:1935", "8935:8935"}, c.Services["broadcaster"].Ports)
	require.Equal(t, "45s", c.Services["transcoder"].StopGracePeriod)

	// The image's check asks for HLS, which only one of them has.
	for _, name := range []string{"orchestrator", "transcoder"} {
		s := c.Services[name]
		require.Equal(t, []string{"CMD", program, "healthcheck", "http://" + settingsOf(t, s, dotenv).CLIAddr + "/healthz"}, s.Healthcheck.Test)
	}
	require.Empty(t, c.Services["broadcaster"].Healthcheck.Test)

	// What is commented out is YAML and settings when the comments are removed.
	text = regexp.MustCompile(`(?m)^( +)# (ports:|  - .*|LPMS_.*)$`).ReplaceAllString(text, "$1$2")
	c = check(t, text, strings.Repeat("0b", 32))
	require.Equal(t, []string{"8936:8936"}, c.Services["orchestrator"].Ports)
	require.True(t, settingsOf(t, c.Services["broadcaster"], dotenv).LocalFallback)
}

// An operator takes the fingerprint out of what the orchestrator prints, by the line in the file.
func TestComposeFingerprint(t *testing.T) {
	m := regexp.MustCompile(`docker compose logs orchestrator \| (sed .*) >> \.env`).FindStringSubmatch(read(t, "compose-cluster.yaml"))
	require.NotNil(t, m)
	sum := strings.Repeat("0b", 32)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", m[1])
	cmd.Stdin = strings.NewReader("orchestrator-1  | Workers at  localhost:8936\n" +
		"orchestrator-1  |             -orchFingerprint " + sum + "\norchestrator-1  | Status      http://127.0.0.1:7935/status\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "LPMS_ORCH_FINGERPRINT="+sum+"\n", string(out))
	require.Contains(t, read(t, "../cmd/lpms/serve.go"), `"-orchFingerprint "`)
}

// compose is the part of a Compose file that is used here: other keys are mistakes.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
	Shared   any                `yaml:"x-lpms"` // what services take parts of
	Health   any                `yaml:"x-health"`
}

type service struct {
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	Image           string            `yaml:"image"`
	Restart         string            `yaml:"restart"`
	Ports           []string          `yaml:"ports"`
	Environment     map[string]string `yaml:"environment"`
	MemLimit        string            `yaml:"mem_limit"`
	Ulimits         map[string]int    `yaml:"ulimits"`
	ReadOnly        bool              `yaml:"read_only"`
	Tmpfs           []string          `yaml:"tmpfs"`
	Volumes         []string          `yaml:"volumes"`
	CapDrop         []string          `yaml:"cap_drop"`
	SecurityOpt     []string          `yaml:"security_opt"`
	DependsOn       []string          `yaml:"depends_on"`
	Command         []string          `yaml:"command"`
	StopGracePeriod string            `yaml:"stop_grace_period"`
	Healthcheck     struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
	} `yaml:"healthcheck"`
}

func composeFile(t *testing.T, text string) (c compose) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&c), text)
	return c
}
