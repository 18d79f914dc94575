package rtmp

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func handshakePair(t *testing.T, client, server func(io.ReadWriter) error) (cerr, serr error) {
	a, b := net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	done := make(chan error, 1)
	go func() {
		err := server(b)
		if err != nil {
			b.Close()
		}
		done <- err
	}()
	cerr = client(a)
	if cerr != nil {
		a.Close()
	}
	serr = <-done
	a.Close()
	b.Close()
	return cerr, serr
}

func TestHandshake(t *testing.T) {
	for _, digest := range []bool{false, true} {
		cerr, serr := handshakePair(t,
			func(c io.ReadWriter) error { return clientHandshake(c, c, digest) },
			func(c io.ReadWriter) error { return serverHandshake(c, c) })
		require.NoError(t, cerr, "digest %v", digest)
		require.NoError(t, serr, "digest %v", digest)
	}
}

// Both places where a client may hide its digest are understood.
func TestHandshakeDigestSchemes(t *testing.T) {
	for _, base := range digestBase {
		c := make([]byte, 1+2*handshakeSize)
		c[0] = rtmpVersion
		c1 := c[1 : 1+handshakeSize]
		for i := range c1 {
			c1[i] = byte(i * 7)
		}
		putDigest(c1, base, clientKey[:len(clientName)])
		var out bytes.Buffer
		require.NoError(t, serverHandshake(bytes.NewReader(c), &out))
		s1 := out.Bytes()[1 : 1+handshakeSize]
		digest, at := findDigest(s1, serverKey[:len(serverName)])
		require.NotNil(t, digest)
		require.Equal(t, base, at)
	}
}

// A client that sets a version and hides no digest gets the plain answer: its
// own bytes.
func TestHandshakeVersionWithoutDigest(t *testing.T) {
	c := make([]byte, 1+2*handshakeSize)
	c[0] = rtmpVersion
	copy(c[5:], []byte{9, 0, 124, 2})
	var out bytes.Buffer
	require.NoError(t, serverHandshake(bytes.NewReader(c), &out))
	require.Equal(t, c[1:1+handshakeSize], out.Bytes()[1+handshakeSize:])
}

func TestHandshakeRefusesOthers(t *testing.T) {
	for name, in := range map[string]string{
		"HTTP": "GET / HTTP/1.1\r\n\r\n", "TLS": "\x16\x03\x01", "encrypted RTMP": "\x06",
	} {
		require.ErrorIs(t, serverHandshake(bytes.NewReader([]byte(in)), io.Discard), ErrProtocol, name)
	}
	require.ErrorIs(t, serverHandshake(bytes.NewReader([]byte{3, 1, 2}), io.Discard), io.ErrUnexpectedEOF)
}

// The client notices a server that does not know the digest it asked for.
func TestClientChecksDigest(t *testing.T) {
	cerr, _ := handshakePair(t,
		func(c io.ReadWriter) error { return clientHandshake(c, c, true) },
		func(c io.ReadWriter) error {
			in := make([]byte, 1+handshakeSize)
			if _, err := io.ReadFull(c, in); err != nil {
				return err
			}
			_, err := c.Write(append(in, in[1:]...))
			return err
		})
	require.ErrorIs(t, cerr, ErrProtocol)
}

func FuzzHandshake(f *testing.F) {
	f.Add(append([]byte{3}, make([]byte, 2*handshakeSize)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		err := serverHandshake(bytes.NewReader(b), &out)
		if err == nil && out.Len() != 1+2*handshakeSize {
			t.Fatalf("answered %d bytes", out.Len())
		}
	})
}
