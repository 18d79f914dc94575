package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// role is what a process does, one bit for each.
type role uint8

const (
	broadcasting role = 1 << iota
	orchestrating
	transcoding
)

// maxCapacity is how many segments a transcoder may be told to work on at the same time.
const maxCapacity = 256

// UsesWorkers reports whether this is a broadcaster whose segments are transcoded by workers,
// in this process or others, and not by the broadcaster itself.
func (s *Settings) UsesWorkers() bool {
	return s.Broadcaster && (s.Orchestrator || len(s.OrchAddr) > 0 || len(s.NATSURL) > 0)
}

// takeRoles finds out what this process is, before any value is looked at, and leaves out what
// other roles need. One file or environment may serve all machines, so what stands there for
// others is no mistake; on the command line it is one, or at least a surprise.
func (p *parser) takeRoles() {
	for _, r := range []struct {
		name string
		bit  role
	}{{"broadcaster", broadcasting}, {"orchestrator", orchestrating}, {"transcoder", transcoding}} {
		if p.isOn(r.name) {
			p.roles |= r.bit
		}
	}
	mine := p.roles
	if mine == 0 {
		mine = broadcasting
	}
	var idle []option
	for _, o := range p.options {
		g, ok := p.given[o.name]
		if !ok || o.of == 0 || o.of&mine != 0 {
			continue
		}
		switch {
		case g.from != "" && p.roles != 0, o.group == groupAddresses:
			// The published recipe gives every role a -httpAddr.
		case o.of == orchestrating:
			p.fail(o.name, errors.New("needs -orchestrator: add it, or remove this flag"))
		case o.group == groupMachines && o.of != broadcasting:
			p.fail(o.name, errors.New("is for those who connect to an orchestrator: add -broadcaster or -transcoder, or remove this flag"))
		default:
			idle = append(idle, o)
		}
		delete(p.given, o.name)
	}
	p.warnIdle(idle)
}

// isOn reports whether a role is given. One with a value that is neither true nor false is taken
// as given: that is reported, and nothing follows from it.
func (p *parser) isOn(name string) bool {
	g, ok := p.given[name]
	on, err := strconv.ParseBool(strings.TrimSpace(g.value))
	return ok && (on || err != nil)
}

// warnIdle names the flags that this process has no use for.
func (p *parser) warnIdle(idle []option) {
	if len(idle) == 0 {
		return
	}
	names, who := []string{}, "the broadcaster"
	for _, o := range idle {
		names = append(names, "-"+o.name)
		if o.of != broadcasting {
			who = "the broadcaster or the transcoder"
		}
	}
	text, does := " is for ", " and does nothing here."
	if len(names) > 1 {
		text, does = " are for ", " and do nothing here."
	}
	p.warn(strings.Join(names, ", ") + text + who + does)
}

// checkRoles judges what belongs to roles, and completes the settings by them.
func (p *parser) checkRoles() {
	if p.bad["broadcaster"] || p.bad["orchestrator"] || p.bad["transcoder"] {
		return
	}
	s := p.s
	s.Broadcaster = s.Broadcaster || p.roles == 0
	if !s.Broadcaster {
		s.RTMPAddr, s.HTTPAddr = Off, Off
	}
	p.takeCapacity()
	p.checkService()
	if p.checkConnection() {
		p.checkWorkers()
	}
	p.checkSecret()
}

// takeCapacity gives -maxSessions its meaning for a transcoder.
func (p *parser) takeCapacity() {
	s := p.s
	if !s.Transcoder || p.bad["maxSessions"] {
		return
	}
	s.Capacity = s.Jobs
	if _, ok := p.given["maxSessions"]; ok {
		if s.MaxSessions > maxCapacity {
			p.fail("maxSessions", fmt.Errorf("%q: with -transcoder it is how many segments are transcoded at the same time: write a number from 1 to %d",
				strconv.Itoa(s.MaxSessions), maxCapacity))
			return
		}
		s.Capacity = s.MaxSessions
		if !s.Broadcaster {
			s.MaxSessions = maxSessions
		}
	}
}

// checkService judges where the orchestrator listens.
func (p *parser) checkService() {
	s := p.s
	if s.Orchestrator && s.ServiceAddr == "" && !p.bad["serviceAddr"] {
		p.fail("orchestrator", fmt.Errorf("needs the address to listen on: add -serviceAddr 127.0.0.1:%s for this machine only, or -serviceAddr :%s for all interfaces",
			servicePort, servicePort))
	}
	if p.bad["serviceCert"] || p.bad["serviceKey"] {
		return
	}
	const both = "add it, or leave both out for a certificate that lpms makes"
	switch {
	case s.ServiceCert != "" && s.ServiceKey == "":
		p.fail("serviceCert", errors.New("needs -serviceKey: "+both))
	case s.ServiceCert == "" && s.ServiceKey != "":
		p.fail("serviceKey", errors.New("needs -serviceCert: "+both))
	}
}

// checkConnection judges how this process finds the others. It is false when that is not known.
func (p *parser) checkConnection() bool {
	s := p.s
	if p.bad["orchAddr"] || p.bad["natsURL"] {
		return false
	}
	nats, addr := len(s.NATSURL) > 0, len(s.OrchAddr) > 0
	const noRole = "needs a role: add -broadcaster to have the streams of this machine transcoded there, or -transcoder to transcode here"
	switch {
	case nats && s.Orchestrator:
		p.fail("natsURL", errors.New("stands in place of an orchestrator: remove it, or -orchestrator"))
	case nats && addr:
		p.fail("natsURL", errors.New("stands in place of an orchestrator: remove it, or -orchAddr"))
	case addr && s.Orchestrator:
		p.fail("orchAddr", errors.New("is of no use with -orchestrator, because the one in this process is used: remove one of them"))
	case addr && p.roles == 0:
		p.fail("orchAddr", errors.New(noRole))
	case nats && p.roles == 0:
		p.fail("natsURL", errors.New(noRole))
	case s.Transcoder && !nats && !addr && !s.Orchestrator:
		p.fail("transcoder", fmt.Errorf("has nobody to work for: add -orchAddr HOST:%s (or -natsURL), or -orchestrator when that is this process", servicePort))
	case len(s.OrchFingerprints) > 0 && !addr:
		p.fail("orchFingerprint", errors.New("needs -orchAddr, whose certificate it names: add that, or remove this flag"))
	default:
		p.warnPlain()
		return true
	}
	return false
}

// warnPlain warns of connections that others can read.
func (p *parser) warnPlain() {
	var plain []string
	for _, server := range publicURLs(p.s.NATSURL) {
		if addr, ok := strings.CutPrefix(server, "nats://"); ok && Public(addr) {
			plain = append(plain, server)
		}
	}
	if len(plain) > 0 {
		p.warn("segments and the password travel to " + strings.Join(plain, ", ") + " unencrypted: write tls:// in -natsURL, and set TLS up there.")
	}
}

// checkWorkers judges what only has a meaning when others transcode.
func (p *parser) checkWorkers() {
	s := p.s
	if s.UsesWorkers() || !s.Broadcaster {
		return
	}
	const add = "has no meaning without transcoders: add -broadcaster and -orchAddr, or remove this flag"
	if s.LocalFallback {
		p.fail("localFallback", errors.New(add))
	}
	if s.SegmentURL != "" {
		p.fail("segmentURL", errors.New(add))
	}
	if accelName(s.RequireAccel) != "" {
		p.fail("requireAccel", errors.New(add))
	}
	if p.roles == broadcasting {
		p.warn("-broadcaster: this process does everything, it transcodes here.")
	}
}

// checkSecret judges what the roles prove to each other that they belong together with.
func (p *parser) checkSecret() {
	s := p.s
	for _, name := range []string{"orchSecret", "orchAddr", "natsURL", "transcoder"} {
		if p.bad[name] {
			return
		}
	}
	connects := s.Orchestrator || len(s.OrchAddr) > 0
	switch {
	case connects && s.OrchSecret == "":
		p.fail("orchSecret", errors.New("is missing, and anybody could send or take work: "+
			"make one with `openssl rand -hex 16 > orch.secret`, and give all roles -orchSecret orch.secret"))
	case !connects && len(s.NATSURL) == 0 && s.OrchSecret != "":
		p.fail("orchSecret", errors.New("needs -orchestrator or -orchAddr: add one of them, or remove this flag"))
	case connects && utf8.RuneCountInString(s.OrchSecret) < weakKey && slices.ContainsFunc(append([]string{s.ServiceAddr}, s.OrchAddr...), Public):
		p.warn(fmt.Sprintf("-orchSecret is shorter than %d characters: somebody may guess it.", weakKey))
	}
}
