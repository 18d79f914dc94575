package settings

import (
	"errors"
	"slices"
	"strings"
	"unicode"
)

const envPrefix = "LPMS_"

// envName is the variable of a setting: LPMS_RTMP_ADDR of rtmpAddr, LPMS_NATS_URL of natsURL.
func envName(name string) string {
	var b strings.Builder
	b.WriteString(envPrefix)
	before := 'A'
	for _, r := range name {
		if unicode.IsUpper(r) && !unicode.IsUpper(before) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
		before = r
	}
	return b.String()
}

// environment takes the variables. An empty one is as none, because that is what
// Compose files and shells make of a variable that is not set.
func (p *parser) environment(env func(string) (string, bool)) {
	for _, name := range p.names() {
		if v, ok := env(envName(name)); ok && strings.TrimSpace(v) != "" {
			p.put(name, v, envName(name))
		}
	}
}

// CheckEnv looks for variables LPMS_… that no setting has, which is how a misspelt
// one would go unnoticed: environ is as of os.Environ. The error joins one *Error for each, 20 at
// most. Variables that Kubernetes makes for a service named lpms (LPMS_PORT_…,
// LPMS_SERVICE_HOST, LPMS_SERVICE_PORT…), and LPMS_VERSION, are left alone.
func CheckEnv(environ []string) error {
	p := newParser()
	var known []string // without the prefix, which all share
	for _, name := range p.names() {
		known = append(known, strings.TrimPrefix(envName(name), envPrefix))
	}
	for _, line := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(line, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if ours && !slices.Contains(known, rest) && !foreign(rest) {
			p.stray("", "the variable "+quote(name)+" sets nothing"+suggest(rest, known, envPrefix))
		}
	}
	return errors.Join(p.problems...)
}

// foreign reports whether others set this variable; rest is its name without the prefix.
func foreign(rest string) bool {
	return rest == "VERSION" || rest == "PORT" || rest == "SERVICE_HOST" ||
		strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_PORT")
}
