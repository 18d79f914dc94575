package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	servicePort = "8936" // usual for an orchestrator
	natsPort    = "4222"
	// maxServers is how many orchestrators, NATS servers or fingerprints there may be.
	maxServers = 8
)

// hostsTo takes addresses to connect to. port is the usual one, for the corrected form.
func hostsTo(to *[]string, port string) func(string) error {
	return func(v string) error {
		all := list(v)
		if len(all) > maxServers {
			return fmt.Errorf("%s: write at most %d addresses", quote(v), maxServers)
		}
		for i, addr := range all {
			host, p, err := net.SplitHostPort(addr)
			switch {
			case err == nil && host == "" && isPort(p):
				return fmt.Errorf("%s has no host: write %s for this machine", quote(addr), net.JoinHostPort("127.0.0.1", p))
			case err != nil, host == "", !validHost(host), !isPort(p) && p != "":
				return fmt.Errorf("%s is not host:port: write %s", quote(addr), target(addr, port))
			case p == "":
				return fmt.Errorf("%s has no port: write %s", quote(addr), net.JoinHostPort(host, port))
			case strings.Trim(p, "0") == "":
				return fmt.Errorf("%s: nobody can connect to port 0: write %s", quote(addr), net.JoinHostPort(host, port))
			}
			all[i] = net.JoinHostPort(host, strings.TrimLeft(p, "0"))
			if slices.ContainsFunc(all[:i], func(a string) bool { return strings.EqualFold(a, all[i]) }) {
				return fmt.Errorf("%s stands there twice: remove one", quote(all[i]))
			}
		}
		*to = all
		return nil
	}
}

// target guesses what was meant as an address to connect to.
func target(v, port string) string {
	if guess, ok := meant(v, port); ok {
		return guess
	}
	if isPort(v) {
		return net.JoinHostPort("127.0.0.1", v) + " for this machine"
	}
	return net.JoinHostPort("orchestrator.example.com", port)
}

// natsTo takes the URLs of NATS servers. It never quotes them: they may hold passwords.
func natsTo(to *[]string) func(string) error {
	return func(v string) error {
		all := list(v)
		if len(all) > maxServers {
			return fmt.Errorf("has %d URLs: write at most %d", len(all), maxServers)
		}
		var hosts []string
		for i, text := range all {
			u, err := natsServer(text)
			if err == nil && slices.Contains(hosts, u.Host) {
				err = errors.New("has the host and port of another one: remove one")
			}
			if err != nil {
				if len(all) > 1 {
					return fmt.Errorf("URL %d of %d %w", i+1, len(all), err)
				}
				return err
			}
			hosts = append(hosts, u.Host)
			all[i] = u.String()
		}
		*to = all
		return nil
	}
}

// natsServer checks one URL, and adds the usual port.
func natsServer(text string) (*url.URL, error) {
	const example = "write one like tls://user:password@nats.example.com:" + natsPort
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return nil, fmt.Errorf("is %d bytes long: write at most %d", len(text), maxURL)
	case err != nil:
		return nil, errors.New("is no URL: " + example + ", with %-codes for special characters of the password")
	case u.Scheme == "ws" || u.Scheme == "wss":
		return nil, errors.New("is a WebSocket, which lpms does not use: write tls:// and the server's port for clients, usually " + natsPort)
	case u.Scheme != "nats" && u.Scheme != "tls":
		return nil, errors.New("does not begin with nats:// or tls://: " + example)
	case u.Hostname() == "" || !validHost(u.Hostname()):
		return nil, errors.New("has no valid host: " + example)
	case u.Port() != "" && (!isPort(u.Port()) || strings.Trim(u.Port(), "0") == ""):
		return nil, errors.New("has no valid port: write a number from 1 to 65535, usually " + natsPort)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("has something behind the port: " + example)
	}
	port := u.Port()
	if port == "" {
		port = natsPort
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: net.JoinHostPort(strings.ToLower(u.Hostname()), port)}, nil
}

var fingerprint = regexp.MustCompile(`^[0-9a-f]{64}$`)

// fingerprintsTo takes SHA-256 sums, as programs print them: also in capitals, and with colons.
func fingerprintsTo(to *[]string) func(string) error {
	return func(v string) error {
		all := list(v)
		if len(all) > maxServers {
			return fmt.Errorf("has %d fingerprints: write at most %d", len(all), maxServers)
		}
		for i, text := range all {
			sum := strings.ToLower(strings.ReplaceAll(text, ":", ""))
			if !fingerprint.MatchString(sum) {
				return fmt.Errorf("%s is no SHA-256: write the 64 hex digits that the orchestrator prints when it starts", quote(text))
			}
			if slices.Contains(all[:i], sum) {
				return fmt.Errorf("%s stands there twice: remove one", quote(sum))
			}
			all[i] = sum
		}
		*to = all
		return nil
	}
}
