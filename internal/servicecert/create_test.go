package servicecert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// created makes a pair in a new folder.
func created(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state", "lpms")
	_, isNew, err := LoadOrCreate(dir, now)
	require.NoError(t, err)
	require.True(t, isNew)
	return dir
}

// names are the files of a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCreate(t *testing.T) {
	dir := created(t)
	require.Equal(t, []string{certName, keyName}, names(t, dir))
	if runtime.GOOS != "windows" {
		for path, mode := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, filepath.Join(dir, keyName): 0o600, filepath.Join(dir, certName): 0o600} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, mode, info.Mode(), path)
		}
	}
	cert, again, err := LoadOrCreate(dir, now.AddDate(9, 11, 0))
	require.NoError(t, err)
	require.False(t, again)
	require.Equal(t, "lpms orchestrator", cert.Leaf.Subject.CommonName)
	require.Equal(t, now.AddDate(0, 0, -1), cert.Leaf.NotBefore)
	require.Equal(t, now.AddDate(10, 0, -1), cert.Leaf.NotAfter)
	require.Equal(t, elliptic.P256(), cert.PrivateKey.(*ecdsa.PrivateKey).Curve)
	require.Positive(t, cert.Leaf.SerialNumber.BitLen())
	require.False(t, cert.Leaf.IsCA)
	require.Regexp(t, "^[0-9a-f]{64}$", Fingerprint(cert))

	// The two files are an ordinary pair.
	plain, err := load(filepath.Join(dir, certName), filepath.Join(dir, keyName), now)
	require.NoError(t, err)
	require.Equal(t, Fingerprint(cert), Fingerprint(plain))

	other, _, err := LoadOrCreate(t.TempDir(), now)
	require.NoError(t, err)
	require.NotEqual(t, Fingerprint(cert), Fingerprint(other))
}

func TestCreateAtTheSameTime(t *testing.T) {
	for range 20 {
		dir := filepath.Join(t.TempDir(), "state")
		const processes = 8
		var fingerprints [processes]string
		var isNew [processes]bool
		var errs [processes]error
		var wg sync.WaitGroup
		for i := range processes {
			wg.Go(func() {
				cert, c, err := LoadOrCreate(dir, now)
				fingerprints[i], isNew[i], errs[i] = Fingerprint(cert), c, err
			})
		}
		wg.Wait()
		count := 0
		for i := range processes {
			require.NoError(t, errs[i])
			require.Equal(t, fingerprints[0], fingerprints[i])
			if isNew[i] {
				count++
			}
		}
		require.Equal(t, 1, count, "one of them has made it")
		require.Equal(t, []string{certName, keyName}, names(t, dir))
	}
}

// A crash may come after the key is placed, and leave what was being written.
func TestCreateAfterACrash(t *testing.T) {
	dir := created(t)
	before, _, err := LoadOrCreate(dir, now)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, certName)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "."+certName+"-1"), []byte("-----BEGIN"), 0o600))

	after, isNew, err := LoadOrCreate(dir, now)
	require.NoError(t, err)
	require.False(t, isNew)
	require.Equal(t, Fingerprint(before), Fingerprint(after))
	require.Contains(t, names(t, dir), certName)
}

func TestCreateReplacesNothing(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		now   time.Time
		want  string
	}{
		{"expired", func(*testing.T, string) {}, now.AddDate(10, 0, 0),
			`DIR/service.crt" expired on 2036-06-14: put a new one there, or remove "DIR/service.crt" and "DIR/service.key" to have a new pair made, whose fingerprint all others need`},
		{"no key", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, keyName))) }, now,
			`DIR/service.crt" has lost its key "DIR/service.key": put that back, or remove the certificate to have a new pair made`},
		{"no certificate, and none beside the key", func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, keyName))
			require.NoError(t, err)
			key, _, _ := strings.Cut(string(b), "-----BEGIN CERTIFICATE")
			require.NoError(t, os.WriteFile(filepath.Join(dir, keyName), []byte(key), 0o600))
			require.NoError(t, os.Remove(filepath.Join(dir, certName)))
		}, now, `DIR/service.key" has lost its certificate "DIR/service.crt": put that back, or remove the key to have`},
		{"empty key", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, keyName), nil, 0o600))
		}, now, `do not fit (failed to find any PEM data in key input): put the right ones there, or remove "DIR/service.crt" and`},
		{"certificate of another key", func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(created(t), certName))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, certName), b, 0o600))
		}, now, `"DIR/service.crt" and the key "DIR/service.key" do not fit (private key does not match public key)`},
		{"folder", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, keyName)))
			require.NoError(t, os.Mkdir(filepath.Join(dir, keyName), 0o700))
		}, now, `"DIR/service.key" is not a file`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := created(t)
			tt.spoil(t, dir)
			before := names(t, dir)
			_, isNew, err := LoadOrCreate(dir, tt.now)
			require.ErrorContains(t, err, strings.ReplaceAll(tt.want, "DIR", dir))
			var typed *Error
			require.ErrorAs(t, err, &typed)
			require.False(t, isNew)
			require.Equal(t, before, names(t, dir))
		})
	}
}

func TestCreateWhereNobodyMay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		_, isNew, err := LoadOrCreate(dir, now)
		var typed *Error
		require.ErrorAs(t, err, &typed)
		require.ErrorContains(t, err, "not a directory")
		require.False(t, isNew)
	}
}

func TestLoad(t *testing.T) {
	dir := created(t)
	certFile, keyFile := filepath.Join(dir, certName), filepath.Join(dir, keyName)
	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, make([]byte, maxFile+1), 0o600))
	tests := []struct {
		name, cert, key string
		now             time.Time
		want            string
	}{
		{"good", certFile, keyFile, now, ""},
		{"no certificate", filepath.Join(dir, "none"), keyFile, now, `none" cannot be read: no such file or directory`},
		{"no key", certFile, filepath.Join(dir, "none"), now, `none" cannot be read: no such file or directory`},
		{"folder", dir, keyFile, now, `is not a file`},
		{"large", big, keyFile, now, `is longer than 1048576 bytes`},
		{"swapped", keyFile, certFile, now, `do not fit (found a certificate rather than a key in the PEM for the private key)`},
		{"of others", certFile, filepath.Join(created(t), keyName), now, `do not fit (private key does not match public key): put the right ones there`},
		{"expired", certFile, keyFile, now.AddDate(10, 0, 0), `expired on 2036-06-14: put a new one there`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert, err := load(tt.cert, tt.key, tt.now)
			if tt.want == "" {
				require.NoError(t, err)
				require.NotNil(t, cert.Leaf)
				return
			}
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "\n")
			var typed *Error
			require.ErrorAs(t, err, &typed)
		})
	}
	_, err := Load(filepath.Join(dir, "none"), keyFile)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestDefaultDir(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	lookup := func(dirs string) func(string) (string, bool) {
		return func(name string) (string, bool) { return dirs, name == "STATE_DIRECTORY" && dirs != "" }
	}
	tests := []struct {
		name string
		env  func(string) (string, bool)
		want string
	}{
		{"systemd", lookup("/var/lib/lpms"), "/var/lib/lpms"},
		{"several", lookup("/var/lib/lpms:/var/lib/other"), "/var/lib/lpms"},
		{"none", lookup(""), filepath.Join(config, "lpms")},
		{"no environment", nil, filepath.Join(config, "lpms")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := DefaultDir(tt.env)
			require.NoError(t, err)
			require.Equal(t, tt.want, dir)
		})
	}
	_, err := DefaultDir(lookup("lib:/var/lib"))
	require.EqualError(t, err, `certificate of the orchestrator: "lib" of STATE_DIRECTORY is no absolute path`)

	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	_, err = DefaultDir(nil)
	require.ErrorContains(t, err, "set STATE_DIRECTORY, or give -serviceCert and -serviceKey")
}
