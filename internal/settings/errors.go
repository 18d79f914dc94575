package settings

import (
	"errors"
	"strconv"
	"strings"
)

// Error is one thing that is wrong with the settings.
type Error struct {
	Flag string // its name without the dash; empty when it is no flag's fault
	From string // the variable, or the file and line, that set it; empty for the command line
	Err  error  // the value, what is wrong with it, and what to write instead
}

// Error is one line.
func (e *Error) Error() string {
	where := e.From
	if e.Flag != "" {
		where = "-" + e.Flag
		if e.From != "" {
			where += " (from " + e.From + ")"
		}
	}
	text := oneLine(e.Err.Error())
	switch {
	case where == "":
		return text
	case strings.HasPrefix(text, `"`): // the value
		return where + " " + text
	}
	return where + ": " + text
}

// Unwrap gives the reason, for errors.Is.
func (e *Error) Unwrap() error { return e.Err }

// maxProblems is how many are reported: a file that is no configuration has thousands.
const maxProblems = 20

// fail adds a problem of a setting, which is not looked at any further.
func (p *parser) fail(flag string, err error) {
	p.bad[flag] = true
	p.add(&Error{Flag: flag, From: p.given[flag].from, Err: err})
}

// stray adds a problem that is no known setting's.
func (p *parser) stray(from, text string) {
	p.add(&Error{From: from, Err: errors.New(text)})
}

func (p *parser) add(err error) {
	switch n := len(p.problems); {
	case n < maxProblems:
		p.problems = append(p.problems, err)
	case n == maxProblems:
		p.problems = append(p.problems, errors.New("and more"))
	}
}

// quote makes a value fit for an error: one line, and not endless.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return strconv.Quote(string(r[:most])) + "…"
	}
	return strconv.Quote(s)
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
