package servicecert

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Fingerprint is the SHA-256 of the certificate itself, without its chain, in lower-case hex;
// empty for no certificate.
func Fingerprint(cert tls.Certificate) string {
	if len(cert.Certificate) == 0 {
		return ""
	}
	return digest(cert.Certificate[0])
}

func digest(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// ServerConfig is for the orchestrator's listener: TLS 1.2 at least. It is the caller's.
func ServerConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// UntrustedError is a certificate that was refused.
type UntrustedError struct {
	Fingerprint string // of what the server showed; empty for nothing
	Err         error  // why; for errors.As with those of crypto/x509
}

// Error is one line, and says what to do.
func (e *UntrustedError) Error() string {
	return fmt.Sprintf("the orchestrator shows a certificate with the fingerprint %[1]s, which is not trusted (%[2]v): "+
		"if it is the one that it printed at its start, add -orchFingerprint %[1]s", e.Fingerprint, e.Err)
}

// Unwrap gives the reason.
func (e *UntrustedError) Unwrap() error { return e.Err }

// errOther is why a certificate is refused when fingerprints are known.
var errOther = errors.New("it is none of -orchFingerprint")

// ClientConfig is for connections to an orchestrator, TLS 1.2 at least. It is the caller's, and
// may be cloned.
//
// With fingerprints, as of [Fingerprint], a server is accepted by those alone: neither its name nor dates
// count. Something else in the list matches nothing. Capitals and colons do not matter.
//
// Without, the certificate must be valid for the host name, by the system's roots or RootCAs of the
// config returned. Whoever connects to a numeric address must set its ServerName to that, or
// nothing is accepted: TLS does not tell numbers to those who verify. Both are read from this config, not
// from clones, and must not change once it is used.
//
// A handshake with another server fails with an *UntrustedError, as errors.As finds it. Resumed
// sessions are checked, too.
func ClientConfig(fingerprints []string) *tls.Config {
	// The check of crypto/tls is replaced by one of ours: its error cannot be ours otherwise.
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	if len(fingerprints) == 0 {
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyName(s, cmp.Or(s.ServerName, c.ServerName), c.RootCAs) }
		return c
	}
	var known []string
	for _, f := range fingerprints {
		known = append(known, strings.ToLower(strings.ReplaceAll(f, ":", "")))
	}
	c.VerifyConnection = func(s tls.ConnectionState) error { return verifyFingerprint(s, known) }
	return c
}

func verifyFingerprint(s tls.ConnectionState, known []string) error {
	if len(s.PeerCertificates) == 0 {
		return &UntrustedError{Err: errOther}
	}
	shown := digest(s.PeerCertificates[0].Raw)
	match := 0
	for _, k := range known {
		match |= subtle.ConstantTimeCompare([]byte(k), []byte(shown))
	}
	if match != 1 {
		return &UntrustedError{Fingerprint: shown, Err: errOther}
	}
	return nil
}

// verifyName is what crypto/tls does by itself; roots of nil are the system's.
func verifyName(s tls.ConnectionState, name string, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return &UntrustedError{Err: errors.New("there is none")}
	}
	leaf := s.PeerCertificates[0]
	if name == "" {
		return &UntrustedError{Fingerprint: digest(leaf.Raw), Err: errors.New("there is no host name to check it by")}
	}
	chain := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		chain.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: chain}); err != nil {
		return &UntrustedError{Fingerprint: digest(leaf.Raw), Err: err}
	}
	return nil
}
