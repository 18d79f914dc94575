package settings

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// addrTo takes an address to listen on. port is the usual one, for the corrected form.
func addrTo(to *string, port string, mayBeOff bool) func(string) error {
	return func(v string) error {
		if v == Off {
			if !mayBeOff {
				return fmt.Errorf("%s: this one is needed: write 127.0.0.1:%s or :%s", quote(v), port, port)
			}
			*to = v
			return nil
		}
		host, p, err := net.SplitHostPort(v)
		n, portErr := strconv.ParseUint(p, 10, 16)
		switch {
		case err != nil, !validHost(host), strings.Contains(v, "/"):
			return fmt.Errorf("%s is not host:port: write %s", quote(v), corrected(v, port))
		case p == "":
			return fmt.Errorf("%s has no port: write %s", quote(v), net.JoinHostPort(host, port))
		case portErr != nil:
			return fmt.Errorf("%s: the port must be a number from 0 to 65535: write %s", quote(v), net.JoinHostPort(host, port))
		}
		*to = net.JoinHostPort(host, strconv.FormatUint(n, 10))
		return nil
	}
}

// corrected guesses what was meant, from what people write most often.
func corrected(v, port string) string {
	if p, ok := strings.CutPrefix(v, "*:"); ok && isPort(p) {
		return ":" + p + " for all interfaces"
	}
	if guess, ok := meant(v, port); ok {
		return guess
	}
	if isPort(v) {
		port = v
	}
	return fmt.Sprintf("127.0.0.1:%s for this machine only, or :%s for all interfaces", port, port)
}

// meant finds host:port in a URL, or adds port to a host.
func meant(v, port string) (guess string, ok bool) {
	if _, rest, ok := strings.Cut(v, "://"); ok {
		v, _, _ = strings.Cut(rest, "/")
		if host, p, err := net.SplitHostPort(v); err == nil && isPort(p) && validHost(host) {
			return v, true
		}
	}
	v = strings.Trim(v, "[]")
	if v == "" || isPort(v) || !validHost(v) {
		return "", false
	}
	return net.JoinHostPort(v, port), true
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// hostname is what may stand for a machine: RFC 1123 names, and the underscores of Compose.
var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$`)

func validHost(host string) bool {
	if host == "" {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return hostname.MatchString(host) && strings.Trim(host, "0123456789.") != ""
}

// Public reports whether other machines may reach an address that addrTo has accepted.
func Public(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return false // Off, or nothing
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// collide reports whether two addresses cannot be listened on by one machine.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	if hostA == hostB || hostA == "" || hostB == "" {
		return true
	}
	ipA, knownA := hostIP(hostA)
	ipB, knownB := hostIP(hostB)
	if !knownA || !knownB {
		return false
	}
	// A socket on :: takes the IPv4 connections as well.
	every4, every6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	return ipA == ipB || ipA == every6 || ipB == every6 ||
		ipA.Is4() && ipB.Is4() && (ipA == every4 || ipB == every4)
}

func hostIP(host string) (netip.Addr, bool) {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	return ip.Unmap(), err == nil
}
