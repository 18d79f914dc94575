package lpms_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/livepeer/lpms"

// allowed says which of our packages each package may import: the folder list is the
// data path, and imports point one way (docs/architecture.md).
var allowed = map[string][]string{
	"":                        {"stream", "segmenter", "vidlistener", "vidplayer", "internal/rtmp"},
	"stream":                  {},
	"ffmpeg":                  {},
	"internal/rtmp":           {},
	"internal/codec":          {},
	"segmenter":               {"stream", "ffmpeg", "internal/codec"},
	"transcoder":              {"stream", "ffmpeg"},
	"vidlistener":             {"stream", "internal/rtmp", "internal/codec"},
	"vidplayer":               {"stream", "internal/rtmp"},
	"cmd/example":             {"", "stream"},
	"cmd/transcode":           {"ffmpeg"},
	"internal/testmedia":      {"internal/rtmp"},
	"internal/benchhost":      {},
	"internal/bench":          {"internal/benchhost", "internal/rtmp", "internal/testmedia"},
	"internal/benchtranscode": {"internal/benchhost", "ffmpeg"},
	"internal/status":         {},
	"internal/machine":        {},
	"internal/servicecert":    {},
	"internal/cluster":        {"stream", "ffmpeg", "transcoder", "internal/status", "internal/servicecert"},
	"internal/clusterbench":   {"stream", "ffmpeg", "transcoder", "internal/cluster", "internal/machine", "internal/orchestrator"},
	"internal/orchestrator":   {"internal/cluster", "internal/status"},
	"internal/testsignal":     {"stream", "ffmpeg", "internal/codec"},
	"internal/settings":       {"stream", "ffmpeg", "transcoder"},
	"internal/watch":          {"stream", "internal/status"},
	"internal/push":           {"stream", "ffmpeg", "transcoder"},
	"internal/admin":          {"stream", "internal/status"},
	"internal/backend": {"", "stream", "ffmpeg", "transcoder",
		"internal/admin", "internal/cluster", "internal/machine", "internal/push", "internal/status", "internal/testsignal", "internal/watch"},
	"cmd/lpms": {"ffmpeg", "transcoder", "internal/admin", "internal/backend", "internal/capacity", "internal/cluster", "internal/clusterbench", "internal/machine",
		"internal/orchestrator", "internal/servicecert", "internal/settings", "internal/status", "internal/testsignal"},
	"internal/capacity": {"stream", "internal/backend", "internal/status", "internal/testsignal"},
	"deploy":            {},
	"test/e2e":          {},
}

func goList(t *testing.T, format string) []string {
	out, err := exec.Command("go", "list", "-f", format, "./...").Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestImportsPointOneWay(t *testing.T) {
	for _, line := range goList(t, `{{.ImportPath}}|{{join .Imports " "}}`) {
		pkg, imports, _ := strings.Cut(line, "|")
		name := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
		may, known := allowed[name]
		require.True(t, known, "package %s is not in the list", name)
		for _, imp := range strings.Fields(imports) {
			if rest, ours := strings.CutPrefix(imp, module); ours {
				require.Contains(t, may, strings.TrimPrefix(rest, "/"), "%s imports %s", pkg, imp)
			}
		}
	}
}

// C is spoken in one package, joy4 gives types only, NATS stays out of sight, and only the top logs.
func TestForeignImports(t *testing.T) {
	types := []string{"github.com/nareix/joy4/av", "github.com/nareix/joy4/codec/h264parser", "github.com/nareix/joy4/codec/aacparser"}
	for _, line := range goList(t, `{{.ImportPath}}|{{len .CgoFiles}}|{{join .Imports " "}}`) {
		f := strings.Split(line, "|")
		require.True(t, f[1] == "0" || f[0] == module+"/ffmpeg", "%s uses cgo", f[0])
		for _, imp := range strings.Fields(f[2]) {
			if strings.HasPrefix(imp, "github.com/nareix/") {
				require.True(t, slices.Contains(types, imp), "%s imports %s", f[0], imp)
			}
			if strings.HasPrefix(imp, "github.com/nats-io/") {
				require.True(t, strings.HasSuffix(f[0], "/internal/cluster") || strings.HasSuffix(f[0], "/internal/orchestrator"), "%s imports %s", f[0], imp)
			}
			if imp == "github.com/golang/glog" {
				require.True(t, f[0] == module || strings.HasPrefix(f[0], module+"/cmd/"), "%s logs", f[0])
			}
		}
	}
}
