package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livepeer/lpms/internal/settings"
)

// units are the services, by the name of their files without the end.
var units = []struct {
	name, command string
	stop          string            // TimeoutStopSec
	env           map[string]string // what it should not start without
	check         func(*testing.T, *settings.Settings)
}{
	{"lpms", program, "15", map[string]string{"LPMS_PUBLISH_KEY": secret}, func(t *testing.T, s *settings.Settings) {
		requirePublic(t, s)
		require.True(t, s.Broadcaster)
	}},
	{"lpms-orchestrator", program + " -orchestrator", "15", map[string]string{"LPMS_ORCH_SECRET": secret}, func(t *testing.T, s *settings.Settings) {
		require.True(t, s.Orchestrator && !s.Broadcaster && !s.Transcoder)
		require.Equal(t, []string{":8936", "127.0.0.1:7936"}, []string{s.ServiceAddr, s.CLIAddr})
	}},
	{"lpms-transcoder", program + " -transcoder", "45", map[string]string{"LPMS_ORCH_SECRET": secret, "LPMS_ORCH_ADDR": "o.example.com:8936"},
		func(t *testing.T, s *settings.Settings) {
			require.True(t, s.Transcoder && !s.Broadcaster && !s.Orchestrator)
			require.Equal(t, "127.0.0.1:7937", s.CLIAddr)
		}},
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

// environment is what a service has of its unit, and what it should not start without.
func environment(t *testing.T, u unit, needed map[string]string) map[string]string {
	t.Helper()
	env := maps.Clone(needed)
	for _, line := range u["Service"]["Environment"] {
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, line)
		env[name] = value
	}
	return env
}

func TestUnits(t *testing.T) {
	addresses := map[string]string{} // that may be used by all services of one machine
	for _, tt := range units {
		t.Run(tt.name, func(t *testing.T) {
			u, err := parseUnit(read(t, tt.name+".service"))
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"Unit", "Service", "Install"}, slices.Collect(maps.Keys(u)))
			service := u["Service"]
			for key, want := range map[string]string{
				"ExecStart": tt.command, "EnvironmentFile": "-/etc/default/" + tt.name, "TimeoutStopSec": tt.stop,
				"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "Restart": "always", "RestartPreventExitStatus": "78",
				"LimitNOFILE": "65536", "MemoryMax": "80%", "CapabilityBoundingSet": "",
			} {
				require.Equal(t, []string{want}, service[key], key)
			}
			for key, values := range service {
				if key != "Environment" {
					require.Len(t, values, 1, "%s is given twice", key)
				}
			}
			if dir := service["StateDirectory"]; dir != nil {
				require.Equal(t, []string{tt.name, "0700"}, []string{dir[0], service["StateDirectoryMode"][0]})
			} else {
				require.Equal(t, "lpms-transcoder", tt.name, "an orchestrator keeps its certificate")
			}

			env := environment(t, u, tt.env)
			for name, value := range env {
				if strings.HasSuffix(name, "_ADDR") && tt.env[name] == "" {
					require.Empty(t, addresses[value], "%s is that of another service", value)
					addresses[value] = tt.name
				}
			}
			s := parse(t, strings.Fields(tt.command)[1:], env)
			require.Empty(t, s.Warnings)
			tt.check(t, s)
		})
	}
}

func TestUnitParserRefuses(t *testing.T) {
	for _, text := range []string{"a=b", "[S]\nword", "[S]\na = b", "[S]\n[S]", "[S]\na=b\\"} {
		_, err := parseUnit(text)
		require.Error(t, err, text)
	}
}

// systemd reads the units as well, with a program that is there in place of ours.
func TestUnitsForSystemd(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, tt := range units {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(read(t, tt.name+".service"), "ExecStart="+program, "ExecStart="+self, 1)
			path := filepath.Join(t.TempDir(), tt.name+".service")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput()
			require.NoError(t, err, "%s", out)
			for line := range strings.Lines(string(out)) {
				require.NotContains(t, line, tt.name+".service", "systemd warns")
			}
		})
	}
}

var variable = regexp.MustCompile(`^#?(LPMS_[A-Z_]+)=(.*)$`)

// Lines that are commented out are settings too: those of each paragraph together, beside what the
// service does not start without.
func TestEnvironmentFiles(t *testing.T) {
	for _, tt := range units {
		t.Run(tt.name, func(t *testing.T) {
			u, err := parseUnit(read(t, tt.name+".service"))
			require.NoError(t, err)
			args := strings.Fields(tt.command)[1:]
			all := map[string]bool{}
			for paragraph := range strings.SplitSeq(read(t, tt.name+".env"), "\n\n") {
				env := environment(t, u, tt.env)
				for line := range strings.Lines(paragraph) {
					line = strings.TrimSpace(line)
					m := variable.FindStringSubmatch(line)
					if m == nil {
						require.True(t, line == "" || strings.HasPrefix(line, "# "), line)
						continue
					}
					require.Equal(t, byte('#'), line[0], "%s is for the operator to decide", line)
					require.False(t, all[m[1]], "%s stands there twice", m[1])
					all[m[1]] = true
					env[m[1]] = m[2]
				}
				require.Empty(t, parse(t, args, env).Warnings)
			}
			require.Greater(t, len(all), 2)
			for name := range tt.env {
				require.True(t, all[name], "%s is needed", name)
			}
		})
	}
}
