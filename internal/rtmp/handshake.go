package rtmp

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// The plain handshake is RTMP 5.2. Flash-era encoders (and nginx-rtmp as a client)
// use the digest form of it, in which each side proves a well-known key by an
// HMAC-SHA256 hidden at one of two places in its random bytes.

const (
	handshakeSize = 1536
	digestSize    = 32
	rtmpVersion   = 3
)

var (
	handshakeTail = []byte{
		0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57,
		0x6E, 0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
	}
	serverName = []byte("Genuine Adobe Flash Media Server 001")
	clientName = []byte("Genuine Adobe Flash Player 001")
	serverKey  = append(bytes.Clone(serverName), handshakeTail...)
	clientKey  = append(bytes.Clone(clientName), handshakeTail...)
)

// digestBase are the offsets of the field that says where the digest is, for
// the two schemes.
var digestBase = [2]int{8, 772}

func digestOffset(p []byte, base int) int {
	sum := int(p[base]) + int(p[base+1]) + int(p[base+2]) + int(p[base+3])
	return base + 4 + sum%728
}

// digestOf is the HMAC of p without the 32 bytes at offset.
func digestOf(p []byte, offset int, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(p[:offset])
	h.Write(p[offset+digestSize:])
	return h.Sum(nil)
}

// findDigest returns the digest that p holds under key, or nil.
func findDigest(p []byte, key []byte) (digest []byte, base int) {
	for _, base := range digestBase {
		at := digestOffset(p, base)
		if hmac.Equal(p[at:at+digestSize], digestOf(p, at, key)) {
			return p[at : at+digestSize], base
		}
	}
	return nil, 0
}

func putDigest(p []byte, base int, key []byte) {
	at := digestOffset(p, base)
	copy(p[at:], digestOf(p, at, key))
}

// response fills p with random bytes and signs them for the peer's digest.
func response(p, peerDigest, key []byte) {
	rand.Read(p)
	h := hmac.New(sha256.New, key)
	h.Write(peerDigest)
	h2 := hmac.New(sha256.New, h.Sum(nil))
	h2.Write(p[:handshakeSize-digestSize])
	copy(p[handshakeSize-digestSize:], h2.Sum(nil))
}

// serverHandshake answers a client, in the form the client chose. The caller
// has set a deadline for the whole of it.
func serverHandshake(r io.Reader, w io.Writer) error {
	var c [1 + handshakeSize]byte
	if _, err := io.ReadFull(r, c[:1]); err != nil {
		return unexpected(err)
	}
	if c[0] != rtmpVersion {
		return protocolf("handshake version %d (3 is plain RTMP; 6 and 8 are encrypted forms; anything else is not RTMP)", c[0])
	}
	if _, err := io.ReadFull(r, c[1:]); err != nil {
		return unexpected(err)
	}
	c1 := c[1:]
	out := make([]byte, 1+2*handshakeSize)
	out[0] = rtmpVersion
	s1, s2 := out[1:1+handshakeSize], out[1+handshakeSize:]
	rand.Read(s1[8:])
	digest, base := []byte(nil), 0
	// Bytes 4 to 7 are the version of a digest client, zero in the plain form.
	if binary.BigEndian.Uint32(c1[4:]) != 0 {
		digest, base = findDigest(c1, clientKey[:len(clientName)])
	}
	if digest != nil {
		copy(s1[4:8], []byte{4, 5, 0, 1})
		putDigest(s1, base, serverKey[:len(serverName)])
		response(s2, digest, serverKey)
	} else {
		copy(s2, c1)
	}
	if _, err := w.Write(out); err != nil {
		return err
	}
	// C2 is read and not checked: many encoders send anything.
	_, err := io.ReadFull(r, c1)
	return unexpected(err)
}

// clientHandshake is the client's side. With digest it uses the digest form and
// checks that the server knows it.
func clientHandshake(r io.Reader, w io.Writer, digest bool) error {
	out := make([]byte, 1+handshakeSize)
	out[0] = rtmpVersion
	c1 := out[1:]
	rand.Read(c1[8:])
	var mine []byte
	if digest {
		copy(c1[4:8], []byte{0x80, 0, 7, 2})
		putDigest(c1, digestBase[0], clientKey[:len(clientName)])
		mine, _ = findDigest(c1, clientKey[:len(clientName)])
	}
	if _, err := w.Write(out); err != nil {
		return err
	}
	in := make([]byte, 1+2*handshakeSize)
	if _, err := io.ReadFull(r, in); err != nil {
		return unexpected(err)
	}
	if in[0] != rtmpVersion {
		return protocolf("server's handshake version %d", in[0])
	}
	s1, s2 := in[1:1+handshakeSize], in[1+handshakeSize:]
	c2 := make([]byte, handshakeSize)
	if digest {
		theirs, _ := findDigest(s1, serverKey[:len(serverName)])
		if theirs == nil {
			return protocolf("server does not answer the digest handshake")
		}
		want := make([]byte, handshakeSize)
		copy(want, s2)
		h := hmac.New(sha256.New, serverKey)
		h.Write(mine)
		h2 := hmac.New(sha256.New, h.Sum(nil))
		h2.Write(want[:handshakeSize-digestSize])
		if !hmac.Equal(h2.Sum(nil), s2[handshakeSize-digestSize:]) {
			return protocolf("server's answer to the digest handshake is wrong")
		}
		response(c2, theirs, clientKey)
	} else {
		if !bytes.Equal(s2[8:], c1[8:]) {
			return protocolf("server does not echo the handshake")
		}
		copy(c2, s1)
	}
	_, err := w.Write(c2)
	return err
}
