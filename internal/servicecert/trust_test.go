package servicecert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve answers every TLS connection with one byte, until the test ends.
func serve(t *testing.T, c *tls.Config) (addr string) {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c)
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				if _, err := conn.Write([]byte("x")); err == nil {
					io.Copy(io.Discard, conn) //nolint:errcheck // until the client leaves
				}
			})
		}
	})
	return ln.Addr().String()
}

// visit connects, and reads the byte, and with it what is needed to resume the session.
func visit(addr string, c *tls.Config) (tls.ConnectionState, error) {
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	_, err = io.ReadFull(conn, make([]byte, 1))
	return conn.ConnectionState(), err
}

// selfMade is a certificate as an orchestrator makes it.
func selfMade(t *testing.T) tls.Certificate {
	cert, _, err := LoadOrCreate(t.TempDir(), now)
	require.NoError(t, err)
	return cert
}

// signed makes an authority, and a certificate of it for the names.
func signed(t *testing.T, names []string, ips []net.IP, end time.Time) (*x509.CertPool, tls.Certificate) {
	issue := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if parent == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return cert, key
	}
	start := time.Now().AddDate(-1, 0, 0)
	root, rootKey := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}, NotBefore: start, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	middle, middleKey := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "middle"}, NotBefore: start, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, root, rootKey)
	leaf, key := issue(&x509.Certificate{DNSNames: names, IPAddresses: ips, NotBefore: start, NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, middle, middleKey)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, tls.Certificate{Certificate: [][]byte{leaf.Raw, middle.Raw}, PrivateKey: key, Leaf: leaf}
}

func TestFingerprints(t *testing.T) {
	cert, other := selfMade(t), selfMade(t)
	_, expired := signed(t, nil, nil, time.Now().Add(-time.Hour))
	mine, wrong := Fingerprint(cert), Fingerprint(other)
	withColons := strings.ToUpper(mine[:2] + ":" + mine[2:])
	tests := []struct {
		name  string
		cert  tls.Certificate
		known []string
		ok    bool
	}{
		{"the one", cert, []string{mine}, true},
		{"one of several", cert, []string{wrong, mine}, true},
		{"twice", cert, []string{mine, mine}, true},
		{"as other programs write it", cert, []string{withColons}, true},
		{"name and dates do not matter", expired, []string{Fingerprint(expired)}, true},
		{"that of the chain", expired, []string{digest(expired.Certificate[1])}, false},
		{"another one", cert, []string{wrong}, false},
		{"a part", cert, []string{mine[:62]}, false},
		{"nothing usable", cert, []string{""}, false},
		{"none", cert, nil, false},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range tests {
			t.Run(tls.VersionName(version)+" "+tt.name, func(t *testing.T) {
				c := ServerConfig(tt.cert)
				c.MaxVersion = version
				state, err := visit(serve(t, c), ClientConfig(tt.known))
				if tt.ok {
					require.NoError(t, err)
					require.Equal(t, version, state.Version)
					return
				}
				var untrusted *UntrustedError
				require.ErrorAs(t, err, &untrusted)
				require.Equal(t, Fingerprint(tt.cert), untrusted.Fingerprint)
			})
		}
	}
}

func TestUntrustedErrorSaysWhatToDo(t *testing.T) {
	cert := selfMade(t)
	_, err := visit(serve(t, ServerConfig(cert)), ClientConfig([]string{Fingerprint(selfMade(t))}))
	require.EqualError(t, err, fmt.Sprintf("the orchestrator shows a certificate with the fingerprint %[1]s, which is not trusted "+
		"(it is none of -orchFingerprint): if it is the one that it printed at its start, add -orchFingerprint %[1]s", Fingerprint(cert)))
}

// Who has the certificate of another, which everybody sees, has not its key.
func TestStolenCertificate(t *testing.T) {
	cert, thief := selfMade(t), selfMade(t)
	thief.Certificate, thief.Leaf = cert.Certificate, cert.Leaf
	_, err := visit(serve(t, ServerConfig(thief)), ClientConfig([]string{Fingerprint(cert)}))
	require.Error(t, err)
}

func TestHostName(t *testing.T) {
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	tests := []struct {
		name, ask string
		names     []string
		ips       []net.IP
		end       time.Duration
		strange   bool // the authority is not known
		want      any  // of package x509
	}{
		{"good", "orch.example.com", []string{"orch.example.com"}, nil, time.Hour, false, nil},
		{"numeric", "127.0.0.1", nil, loopback, time.Hour, false, nil},
		{"numeric, not said", "", nil, loopback, time.Hour, false, &UntrustedError{}},
		{"another number", "127.0.0.2", nil, loopback, time.Hour, false, &x509.HostnameError{}},
		{"another name", "evil.example.com", []string{"orch.example.com"}, nil, time.Hour, false, &x509.HostnameError{}},
		{"expired", "orch.example.com", []string{"orch.example.com"}, nil, -time.Hour, false, &x509.CertificateInvalidError{}},
		{"unknown authority", "orch.example.com", []string{"orch.example.com"}, nil, time.Hour, true, &x509.UnknownAuthorityError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots, cert := signed(t, tt.names, tt.ips, time.Now().Add(tt.end))
			c := ClientConfig(nil)
			c.ServerName, c.RootCAs = tt.ask, roots
			if tt.strange {
				c.RootCAs = nil // the system's
			}
			// tls.Dial fills in a name that is not there in a clone, as NATS does.
			_, err := visit(serve(t, ServerConfig(cert)), c)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			var untrusted *UntrustedError
			require.ErrorAs(t, err, &untrusted)
			require.Equal(t, Fingerprint(cert), untrusted.Fingerprint)
			switch want := tt.want.(type) {
			case *x509.HostnameError:
				require.ErrorAs(t, err, want)
			case *x509.CertificateInvalidError:
				require.ErrorAs(t, err, want)
				require.Equal(t, x509.Expired, want.Reason)
			case *x509.UnknownAuthorityError:
				require.ErrorAs(t, err, want)
			default:
				require.ErrorContains(t, err, "there is no host name to check it by")
			}
		})
	}
}

// The name that a clone was given is the one that is asked for.
func TestHostNameOfAClone(t *testing.T) {
	roots, cert := signed(t, []string{"orch.example.com"}, nil, time.Now().Add(time.Hour))
	c := ClientConfig(nil)
	c.RootCAs = roots
	addr := serve(t, ServerConfig(cert))
	for name, ok := range map[string]bool{"orch.example.com": true, "other.example.com": false} {
		clone := c.Clone()
		clone.ServerName = name
		_, err := visit(addr, clone)
		if ok {
			require.NoError(t, err, name)
			continue
		}
		var untrusted *UntrustedError
		require.ErrorAs(t, err, &untrusted, name)
	}
}

// A session that others may resume is checked again.
func TestResumedSessionsAreChecked(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			cert := selfMade(t)
			server := ServerConfig(cert)
			server.MaxVersion = version
			addr := serve(t, server)
			cache := tls.NewLRUClientSessionCache(1)
			trusting := ClientConfig([]string{Fingerprint(cert)})
			trusting.ServerName, trusting.ClientSessionCache = "orch", cache
			for _, known := range [][]string{{Fingerprint(selfMade(t))}, nil} {
				_, err := visit(addr, trusting) // leaves a session; one that is refused is forgotten
				require.NoError(t, err)
				again, err := visit(addr, trusting)
				require.NoError(t, err)
				require.True(t, again.DidResume)

				strict := ClientConfig(known)
				strict.ServerName, strict.ClientSessionCache = "orch", cache
				resumed := false
				verify := strict.VerifyConnection
				strict.VerifyConnection = func(s tls.ConnectionState) error { resumed = s.DidResume; return verify(s) }
				_, err = visit(addr, strict)
				var untrusted *UntrustedError
				require.ErrorAs(t, err, &untrusted)
				require.True(t, resumed)
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	cert := selfMade(t)
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	_, err := visit(serve(t, ServerConfig(cert)), old)
	require.Error(t, err)

	server := ServerConfig(cert)
	server.MinVersion, server.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	_, err = visit(serve(t, server), ClientConfig([]string{Fingerprint(cert)}))
	require.Error(t, err)
	require.Empty(t, Fingerprint(tls.Certificate{}))
}
