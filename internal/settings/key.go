package settings

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxKey  = 1024 // bytes
	weakKey = 8    // characters; fewer are a warning
)

// keyTo takes a secret, or the name of a file that holds it. A value that begins with / ./ or
// ../ is a file's name, as is one of a file that is there. Errors never show the value.
func keyTo(to *string) func(string) error {
	return func(v string) error {
		info, err := os.Stat(v)
		isFile := err == nil && info.Mode().IsRegular()
		if strings.HasPrefix(v, "/") || strings.HasPrefix(v, "./") || strings.HasPrefix(v, "../") || isFile {
			text, err := readFile(v)
			if reason := errors.Unwrap(err); reason != nil {
				return fmt.Errorf("names a file, as it begins with / or a dot, that cannot be read: %w", reason)
			}
			if err != nil {
				return fmt.Errorf("names no file of at most %d bytes", maxFile)
			}
			if v = strings.TrimSpace(text); v == "" {
				return errors.New("names a file that is empty: write the key into it")
			}
		}
		switch {
		case len(v) > maxKey:
			return fmt.Errorf("is %d bytes long: write at most %d", len(v), maxKey)
		case !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
			return errors.New("has spaces or control characters in it: write letters and digits")
		}
		*to = v
		return nil
	}
}

// checkKey warns of keys that are easy to guess, and of those that an address changes.
func (p *parser) checkKey() {
	key := p.s.PublishKey
	if key == "" {
		return
	}
	if utf8.RuneCountInString(key) < weakKey {
		p.warn(fmt.Sprintf("-publishKey is shorter than %d characters: somebody may guess it.", weakKey))
	}
	if strings.ContainsAny(key, "&+%#?=/;\\\"<>") {
		p.warn("-publishKey has characters that mean something in an address: publishers must write them percent-encoded.")
	}
}
