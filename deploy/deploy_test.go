// Package deploy_test checks the files by which lpms is installed: that their settings are
// settings, that the files they name are there, and that Debian has their packages.
package deploy_test

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

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
