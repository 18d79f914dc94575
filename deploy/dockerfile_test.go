package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = ".." // of the repository, where docker build runs

// step is one instruction of a Dockerfile.
type step struct {
	verb, rest string
}

// dockerfile gives the steps of each stage.
func dockerfile(t *testing.T) (stages [][]step) {
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read(t, "Dockerfile"), "")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		verb, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			require.Empty(t, verb)
			continue
		}
		if verb == "FROM" {
			stages = append(stages, nil)
		}
		require.NotEmpty(t, stages, "FROM comes first")
		stages[len(stages)-1] = append(stages[len(stages)-1], step{verb, strings.TrimSpace(rest)})
	}
	return stages
}

func verbs(stage []step, verb string) (rests []string) {
	for _, s := range stage {
		if s.verb == verb {
			rests = append(rests, s.rest)
		}
	}
	return rests
}

// packages are those that apt-get installs in a stage.
func packages(stage []step) (names []string) {
	for _, run := range verbs(stage, "RUN") {
		for command := range strings.SplitSeq(run, "&&") {
			if _, list, ok := strings.Cut(command, "apt-get install"); ok {
				for _, word := range strings.Fields(list) {
					if word[0] != '-' {
						names = append(names, word)
					}
				}
			}
		}
	}
	return names
}

func TestDockerfile(t *testing.T) {
	stages := dockerfile(t)
	require.Len(t, stages, 2)
	build, image := stages[0], stages[1]

	require.Equal(t, []string{"golang:1.26-bookworm AS build"}, verbs(build, "FROM"))
	require.Regexp(t, `(?m)^go 1\.26\b`, read(t, filepath.Join(root, "go.mod")))
	for _, files := range verbs(build, "COPY") {
		words := strings.Fields(files)
		for _, name := range words[:len(words)-1] {
			_, err := os.Stat(filepath.Join(root, name))
			require.NoError(t, err)
		}
	}
	compile := verbs(build, "RUN")[2]
	require.Contains(t, compile, "-o /out/lpms ./cmd/lpms")
	require.DirExists(t, filepath.Join(root, "cmd/lpms"))
	require.Equal(t, []string{"--from=build /out/lpms " + program}, verbs(image, "COPY"))

	require.Equal(t, []string{"debian:bookworm-slim"}, verbs(image, "FROM"))
	require.Equal(t, []string{"10001:10001"}, verbs(image, "USER"))
	require.Equal(t, []string{"1935 8935"}, verbs(image, "EXPOSE"))

	var entry []string
	require.NoError(t, json.Unmarshal([]byte(verbs(image, "ENTRYPOINT")[0]), &entry))
	require.Equal(t, program, entry[0])
	requirePublic(t, parse(t, entry[1:], imageEnvironment(t)))

	_, health, ok := strings.Cut(verbs(image, "HEALTHCHECK")[0], "CMD ")
	require.True(t, ok)
	var check []string
	require.NoError(t, json.Unmarshal([]byte(health), &check))
	require.Equal(t, []string{program, "healthcheck"}, check)
}

// libraries are those of FFmpeg that the program is linked to.
func libraries(t *testing.T) []string {
	m := regexp.MustCompile(`#cgo pkg-config: (.*)`).FindStringSubmatch(read(t, filepath.Join(root, "ffmpeg/log.go")))
	require.NotNil(t, m)
	return strings.Fields(m[1])
}

// runtimes are the packages of the image that have a library: libavutil57 of libavutil.
func runtimes(stages [][]step, library string) (names []string) {
	for _, name := range packages(stages[1]) {
		if strings.TrimRight(name, "0123456789") == library {
			names = append(names, name)
		}
	}
	return names
}

func TestImageHasTheLibraries(t *testing.T) {
	stages := dockerfile(t)
	for _, library := range libraries(t) {
		require.Contains(t, packages(stages[0]), library+"-dev")
		require.Len(t, runtimes(stages, library), 1, library)
	}
}

// The packages have these names in Debian 12, and those of the image belong to those of the
// build.
func TestPackagesAreInDebian(t *testing.T) {
	if release, err := os.ReadFile("/etc/os-release"); err != nil || !strings.Contains(string(release), "VERSION_CODENAME=bookworm") {
		t.Skip("this is not Debian 12: its packages are not known here")
	}
	if lists, _ := filepath.Glob("/var/lib/apt/lists/*_Packages*"); len(lists) == 0 {
		t.Skip("there are no lists of packages here (apt-get update makes them)")
	}
	stages := dockerfile(t)
	names := slices.Concat(packages(stages[0]), packages(stages[1]))
	policy := aptCache(t, "policy", names)
	for _, name := range names {
		require.Regexp(t, `(?m)^`+name+`:\n.*\n  Candidate: [0-9]`, policy)
	}
	depends := aptCache(t, "depends", packages(stages[0]))
	for _, library := range libraries(t) {
		require.Regexp(t, `(?m)^`+library+`-dev\n( .*\n)*? [ |]Depends: `+runtimes(stages, library)[0]+`$`, depends)
	}
}

func aptCache(t *testing.T, command string, names []string) string {
	cmd := exec.CommandContext(t.Context(), "apt-cache", append([]string{command}, names...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}
