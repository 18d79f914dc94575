package servicecert

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxFile is how much of a file is read, in bytes.
const maxFile = 1 << 20

// Error is what is wrong with a certificate, its key or their folder, and what to do.
type Error struct {
	Path string // the file or folder
	Err  error
}

// Error is one line.
func (e *Error) Error() string {
	return fmt.Sprintf("certificate of the orchestrator: %q %v", e.Path, e.Err)
}

// Unwrap gives the reason, for errors.Is.
func (e *Error) Unwrap() error { return e.Err }

// Load reads a certificate with its chain, and its private key, both as PEM. It reads at most
// 1 MiB of each file, and blocks for that only. The error is an *Error: a file cannot be read or
// holds something else, the two do not belong together, or the certificate has expired.
func Load(certFile, keyFile string) (tls.Certificate, error) {
	return load(certFile, keyFile, time.Now())
}

func load(certFile, keyFile string, now time.Time) (tls.Certificate, error) {
	certPEM, err := readFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readFile(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair(certFile, certPEM, keyFile, keyPEM, now)
}

// pair makes one of a certificate and a key that were read from the files.
func pair(certFile string, certPEM []byte, keyFile string, keyPEM []byte, now time.Time) (tls.Certificate, error) {
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		// The text says which of the two it is, as "failed to find any PEM data in key input".
		reason := strings.TrimPrefix(err.Error(), "tls: ")
		return tls.Certificate{}, &Error{certFile, fmt.Errorf("and the key %q do not fit (%s): put the right ones there", keyFile, reason)}
	}
	if end := cert.Leaf.NotAfter; now.After(end) {
		return tls.Certificate{}, &Error{certFile, fmt.Errorf("expired on %s: put a new one there", end.UTC().Format(time.DateOnly))}
	}
	return cert, nil
}

// readFile reads a regular file: a pipe or a device could block or never end.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &Error{path, fmt.Errorf("cannot be read: %w", cause(err))}
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{path, errors.New("is not a file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{path, fmt.Errorf("cannot be read: %w", cause(err))}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &Error{path, fmt.Errorf("cannot be read: %w", cause(err))}
	}
	if len(b) > maxFile {
		return nil, &Error{path, fmt.Errorf("is longer than %d bytes", maxFile)}
	}
	return b, nil
}

// cause is a system's reason without the path, which stands in the sentence already.
func cause(err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
