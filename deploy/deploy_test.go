// Package deploy_test checks the files by which lpms is installed: that their settings are
// settings, that the files they name are there, and that Debian has their packages.
package deploy_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
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

const program = "/usr/local/bin/lpms"

func read(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}

// parse makes settings as the program would in this environment.
func parse(t *testing.T, args []string, env map[string]string) *settings.Settings {
	t.Helper()
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	require.NoError(t, settings.CheckEnv(environ))
	s, err := settings.Parse(args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, io.Discard)
	require.NoError(t, err)
	return s
}

// requirePublic asserts what all deployments have in common.
func requirePublic(t *testing.T, s *settings.Settings) {
	t.Helper()
	require.Equal(t, []string{":1935", ":8935", "127.0.0.1:7935"}, []string{s.RTMPAddr, s.HTTPAddr, s.CLIAddr})
}

// unit is a systemd unit: the values of each key of each section, in order.
type unit map[string]map[string][]string

// parseUnit refuses what systemd would ignore: lines outside sections and without "=".
func parseUnit(text string) (unit, error) {
	u, section := unit{}, ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		key, value, isPair := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
			if u[section] != nil {
				return nil, fmt.Errorf("line %d: a second [%s]", i+1, section)
			}
			u[section] = map[string][]string{}
		case !isPair || section == "" || strings.TrimSpace(key) != key || strings.HasSuffix(line, `\`):
			return nil, fmt.Errorf("line %d: %q is no setting", i+1, line)
		default:
			u[section][key] = append(u[section][key], strings.TrimSpace(value))
		}
	}
	return u, nil
}

func TestUnit(t *testing.T) {
	u, err := parseUnit(read(t, "lpms.service"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"Unit", "Service", "Install"}, slices.Collect(maps.Keys(u)))
	service := u["Service"]
	for key, want := range map[string]string{
		"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "Restart": "always", "RestartPreventExitStatus": "78",
		"LimitNOFILE": "65536", "MemoryMax": "80%", "EnvironmentFile": "-/etc/default/lpms", "CapabilityBoundingSet": "",
	} {
		require.Equal(t, []string{want}, service[key], key)
	}
	for key, values := range service {
		if key != "Environment" {
			require.Len(t, values, 1, "%s is given twice", key)
		}
	}

	words := strings.Fields(service["ExecStart"][0])
	require.Equal(t, program, words[0])
	env := map[string]string{}
	for _, line := range service["Environment"] {
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, line)
		env[name] = value
	}
	requirePublic(t, parse(t, words[1:], env))
}

func TestUnitParserRefuses(t *testing.T) {
	for _, text := range []string{"a=b", "[S]\nword", "[S]\na = b", "[S]\n[S]", "[S]\na=b\\"} {
		_, err := parseUnit(text)
		require.Error(t, err, text)
	}
}

// systemd reads the unit as well, with a program that is there in place of ours.
func TestUnitForSystemd(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	text := strings.Replace(read(t, "lpms.service"), "ExecStart="+program, "ExecStart="+self, 1)
	path := filepath.Join(t.TempDir(), "lpms.service")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		require.NotContains(t, line, "lpms.service", "systemd warns")
	}
}

var variable = regexp.MustCompile(`^#?(LPMS_[A-Z_]+)=(.*)$`)

// Lines that are commented out are settings too, each by itself.
func TestEnvironmentFile(t *testing.T) {
	active, offered := map[string]string{}, 0
	for line := range strings.Lines(read(t, "lpms.env")) {
		line = strings.TrimSpace(line)
		m := variable.FindStringSubmatch(line)
		if m == nil {
			require.True(t, line == "" || strings.HasPrefix(line, "# "), line)
			continue
		}
		offered++
		parse(t, nil, map[string]string{m[1]: m[2]})
		if line[0] != '#' {
			active[m[1]] = m[2]
		}
	}
	require.Greater(t, offered, 5)
	parse(t, nil, active)
}

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

// compose is the part of a Compose file that is used here: other keys are mistakes.
type compose struct {
	Services map[string]struct {
		Build struct {
			Context    string `yaml:"context"`
			Dockerfile string `yaml:"dockerfile"`
		} `yaml:"build"`
		Image       string            `yaml:"image"`
		Restart     string            `yaml:"restart"`
		Ports       []string          `yaml:"ports"`
		Environment map[string]string `yaml:"environment"`
		MemLimit    string            `yaml:"mem_limit"`
		Ulimits     map[string]int    `yaml:"ulimits"`
		ReadOnly    bool              `yaml:"read_only"`
		Tmpfs       []string          `yaml:"tmpfs"`
		CapDrop     []string          `yaml:"cap_drop"`
		SecurityOpt []string          `yaml:"security_opt"`
		DependsOn   []string          `yaml:"depends_on"`
		Command     []string          `yaml:"command"`
	} `yaml:"services"`
}

func composeFile(t *testing.T, text string) (c compose) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&c), text)
	return c
}
