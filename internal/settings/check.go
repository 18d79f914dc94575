package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// check judges settings that must fit each other. What is wrong by itself was reported.
func (p *parser) check() {
	s := p.s
	p.checkRoles()
	p.checkAddresses()
	if s.Broadcaster && s.RTMPAddr == Off && !s.HTTPIngest && !p.bad["httpIngest"] {
		p.fail("rtmpAddr", fmt.Errorf("%q with -httpIngest=false: nobody could publish: leave one of them out", Off))
	}
	if s.MetricsPerStream && !s.Monitor && !p.bad["monitor"] {
		p.fail("metricsPerStream", errors.New("needs -monitor: add it"))
	}
	if s.Monitor && s.CLIAddr == Off {
		p.fail("monitor", fmt.Errorf("serves metrics at -cliAddr, which is %q: give it an address", Off))
	}
	if n := len(s.TestSignals); n > s.MaxSessions && s.MaxSessions > 0 {
		p.fail("testSignal", fmt.Errorf("has %d names, but -maxSessions is %d: write fewer names or a larger number", n, s.MaxSessions))
	}
	if s.CurrentManifest && slices.Contains(s.TestSignals, "current") {
		p.fail("testSignal", errors.New(`"current" is taken by -currentManifest: choose another name`))
	}
	p.checkKey()
	p.checkPublic()
	for _, store := range []struct{ name, value string }{
		{"objectStore", p.judged.objectStore}, {"recordStore", p.judged.recordStore},
	} {
		if store.value != "" {
			p.fail(store.name, errors.New("this version does not record; remove the flag"))
		}
	}
}

func (p *parser) checkAddresses() {
	addresses := []struct{ name, addr string }{
		{"rtmpAddr", p.s.RTMPAddr}, {"httpAddr", p.s.HTTPAddr}, {"cliAddr", p.s.CLIAddr}, {"serviceAddr", p.s.ServiceAddr},
	}
	for i, a := range addresses {
		for _, b := range addresses[:i] {
			if collide(a.addr, b.addr) {
				p.fail(a.name, fmt.Errorf("%q and -%s %q are the same port: write another one", a.addr, b.name, b.addr))
				break
			}
		}
	}
}

// checkPublic warns of what strangers may do.
func (p *parser) checkPublic() {
	s := p.s
	if Public(s.CLIAddr) {
		p.warn(fmt.Sprintf("-cliAddr %q is not private: whoever reaches it may change settings and read the memory of the program; "+
			"write 127.0.0.1 in front of the port, or keep it behind a firewall.", s.CLIAddr))
	}
	if s.PublishKey != "" || s.AuthWebhookURL != "" || p.bad["publishKey"] || p.bad["authWebhookUrl"] {
		return
	}
	var open []string
	if Public(s.RTMPAddr) {
		open = append(open, fmt.Sprintf("-rtmpAddr %q", s.RTMPAddr))
	}
	if s.HTTPIngest && Public(s.HTTPAddr) {
		open = append(open, fmt.Sprintf("-httpAddr %q", s.HTTPAddr))
	}
	if len(open) > 0 {
		p.warn("anybody who reaches " + strings.Join(open, " or ") + " may publish: set -publishKey.")
	}
}
