package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// parser gathers what was given, by precedence, and all that is wrong with it.
type parser struct {
	s        *Settings
	judged   judged
	roles    role // those that were given
	options  []option
	given    map[string]given
	bad      map[string]bool // settings with a problem
	problems []error
}

// given is a value and where it came from; from is empty for the command line.
type given struct {
	value, from string
}

func newParser() *parser {
	p := &parser{s: &Settings{}, given: map[string]given{}, bad: map[string]bool{}}
	p.options = optionsOf(p.s, &p.judged)
	return p
}

// names are those of all settings that can stand in a file.
func (p *parser) names() []string {
	var names []string
	for _, o := range p.options {
		if !o.only {
			names = append(names, o.name)
		}
	}
	return names
}

// commandLine takes the flags. Its error is flag.ErrHelp, or nil: problems are gathered.
func (p *parser) commandLine(args []string) error {
	fs := flag.NewFlagSet("lpms", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	names := []string{"help"}
	for _, o := range p.options {
		take := func(v string) error { p.given[o.name] = given{value: v}; return nil }
		if o.arg == "" && (o.def == "true" || o.def == "false") {
			fs.BoolFunc(o.name, o.help, take)
		} else {
			fs.Func(o.name, o.help, take)
		}
		names = append(names, o.name)
	}
	// A FlagSet stops at the first problem; what stands behind it is read as well.
	for len(args) > 0 {
		err := fs.Parse(args)
		rest := fs.Args()
		last := "" // the last word that was taken
		if n := len(args) - len(rest); n > 0 {
			last = args[n-1]
		}
		switch {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err != nil && strings.HasPrefix(err.Error(), "bad flag syntax"):
			p.stray("", quote(rest[0])+" is no flag: write -name value or -name=value")
			rest = rest[1:]
		case err != nil && strings.HasPrefix(err.Error(), "flag needs an argument"):
			name := strings.TrimLeft(last, "-")
			p.bad[name] = true
			p.add(&Error{Flag: name, Err: errors.New("has no value")})
		case err != nil:
			rest = p.unknownFlag(last, rest, names)
		case len(rest) > 0:
			p.stray("", unexpected(rest[0], last))
			rest = rest[1:]
		}
		args = rest
	}
	if g, ok := p.given["version"]; ok {
		delete(p.given, "version")
		p.s.Version, _ = strconv.ParseBool(g.value)
	}
	return nil
}

// unknownFlag complains about a word, and leaves out the value behind it.
func (p *parser) unknownFlag(word string, rest, names []string) []string {
	name, _, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
	p.stray("", fmt.Sprintf("there is no flag %s%s", quote("-"+name), suggest(name, names, "-")))
	if !hasValue && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return rest[1:]
	}
	return rest
}

// unexpected explains a word that no flag takes; before is the word in front of it.
func unexpected(word, before string) string {
	text := quote(word) + " belongs to no flag"
	if (word == "true" || word == "false") && strings.HasPrefix(before, "-") {
		return text + ": write " + before + "=" + word
	}
	return text + ": write -name value (lpms -help lists the names)"
}

// isTruth reports whether a setting is true or false.
func (p *parser) isTruth(name string) bool {
	return slices.ContainsFunc(p.options, func(o option) bool { return o.name == name && o.arg == "" })
}

// put sets what nothing of higher precedence has set.
func (p *parser) put(name, value, from string) {
	if _, ok := p.given[name]; !ok {
		p.given[name] = given{value: value, from: from}
	}
}

// assign checks all values one by one.
func (p *parser) assign() {
	for _, o := range p.options {
		g, ok := p.given[o.name]
		if !ok {
			g.value = o.def
		}
		if o.only || p.bad[o.name] || !ok && o.def == "" {
			continue
		}
		if err := o.set(strings.TrimSpace(g.value)); err != nil {
			p.fail(o.name, err)
		}
	}
}
