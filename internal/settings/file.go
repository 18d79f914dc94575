package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// maxFile is how much of a file is read, in bytes.
const maxFile = 64 << 10

// configFile reads the file that -config names.
func (p *parser) configFile() {
	path := strings.TrimSpace(p.given["config"].value)
	if path == "" {
		return
	}
	text, err := readFile(path)
	if err != nil {
		p.fail("config", err)
		return
	}
	names := p.names()
	seen := map[string]int{}
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = uncomment(line)
		if line == "" {
			continue
		}
		name, value, alone := configLine(line)
		from := fmt.Sprintf("%s:%d", filepath.Base(path), i+1)
		switch {
		case name == "config" || name == "version" || name == "help":
			p.stray(from, name+" has no meaning in a file: remove the line")
		case !slices.Contains(names, name):
			p.stray(from, "there is no setting "+quote(name)+suggest(name, names, ""))
		case alone && !p.isTruth(name):
			p.stray(from, name+" has no value: write it behind the name")
		case seen[name] > 0:
			p.stray(from, fmt.Sprintf("%s stands in line %d too: remove one of them", name, seen[name]))
		default:
			seen[name] = i + 1
			p.put(name, value, from)
		}
	}
}

// uncomment takes comments out, which begin with # at the start of the line or behind a space.
func uncomment(line string) string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return ""
	}
	line, _, _ = strings.Cut(line, " #")
	return strings.TrimSpace(line)
}

// configLine splits "name value" or "name=value". A name alone is "name true".
func configLine(line string) (name, value string, alone bool) {
	name, value, alone = line, "true", true
	if i := strings.IndexFunc(line, func(r rune) bool { return r == '=' || unicode.IsSpace(r) }); i >= 0 {
		name, value, alone = line[:i], strings.TrimSpace(line[i:]), false
		value = strings.TrimSpace(strings.TrimPrefix(value, "="))
	}
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		value = value[1 : n-1]
	}
	return strings.TrimLeft(name, "-"), value, alone
}

// readFile reads a small regular file: a pipe or a device could block or never end.
func readFile(path string) (string, error) {
	f, err := openFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fileError(path, err)
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("%s is longer than %d bytes", quote(path), maxFile)
	}
	return string(b), nil
}

// openFile opens a regular file, for the caller to close.
func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fileError(path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file: write the name of one", quote(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	return f, nil
}

// fileError says what the system says, with the name once.
func fileError(path string, err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("%s cannot be read: %w", quote(path), err)
}
