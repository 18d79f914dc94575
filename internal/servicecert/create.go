package servicecert

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	certName = "service.crt"
	keyName  = "service.key"
	subject  = "lpms orchestrator"
	// years is how long a certificate is valid. Those who know its fingerprint do not ask for
	// the date, so it only has to outlive the machine.
	years = 10
)

// DefaultDir is where a program keeps its certificate: the first folder of $STATE_DIRECTORY,
// which systemd sets, or else lpms in the user's configuration folder. env looks a variable up, as
// os.LookupEnv does; nil looks nowhere. The error says what to set.
func DefaultDir(env func(string) (string, bool)) (string, error) {
	if env != nil {
		if dirs, _ := env("STATE_DIRECTORY"); dirs != "" {
			dir, _, _ := strings.Cut(dirs, ":")
			if !filepath.IsAbs(dir) {
				return "", &Error{dir, errors.New("of STATE_DIRECTORY is no absolute path")}
			}
			return dir, nil
		}
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the orchestrator's certificate (%w): set STATE_DIRECTORY, or give -serviceCert and -serviceKey", err)
	}
	return filepath.Join(dir, "lpms"), nil
}

// LoadOrCreate reads the certificate and key that are kept in dir, as service.crt and
// service.key, and makes them when neither is there: ECDSA P-256, signed by itself, valid for ten
// years from a day before now. dir is made, too. It blocks for a few files.
//
// When several processes start at once, all get the same pair, and created is true for one of
// them. After a crash there is a whole pair or none. A pair that is broken or has
// expired is never replaced, because others know its fingerprint: the error, an *Error, says
// which files to remove to have a new one.
func LoadOrCreate(dir string, now time.Time) (cert tls.Certificate, created bool, err error) {
	cert, err = loadKept(dir, now)
	if !errors.Is(err, errNone) {
		return cert, false, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cert, false, &Error{dir, fmt.Errorf("cannot be made: %w", cause(err))}
	}
	pair, err := newPair(now)
	if err != nil {
		return cert, false, fmt.Errorf("certificate of the orchestrator: %w", err)
	}
	// The file with the key holds the certificate as well, so that this one file is the pair.
	switch err := place(dir, keyName, pair, os.Link); {
	case errors.Is(err, fs.ErrExist): // another process was faster
	case err != nil:
		return cert, false, err
	default:
		created = true
	}
	cert, err = loadKept(dir, now)
	if err != nil {
		return cert, false, err
	}
	return cert, created, nil
}

// anew is what follows from a pair that is removed.
const anew = "to have a new pair made, whose fingerprint all others need"

// errNone says that there is no pair yet.
var errNone = errors.New("there is no certificate")

// loadKept reads the pair in dir, or gives errNone.
func loadKept(dir string, now time.Time) (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, certName), filepath.Join(dir, keyName)
	keyPEM, err := readFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(certFile); errors.Is(statErr, fs.ErrNotExist) {
			return tls.Certificate{}, errNone
		}
		// The key comes first, so it may have come since.
		keyPEM, err = readFile(keyFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, &Error{certFile, fmt.Errorf("has lost its key %q: put that back, or remove the certificate %s", keyFile, anew)}
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	certPEM, err := readFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		certPEM, err = restore(dir, keyPEM)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := pair(certFile, certPEM, keyFile, keyPEM, now)
	if err != nil {
		return cert, fmt.Errorf("%w, or remove %q and %q %s", err, certFile, keyFile, anew)
	}
	return cert, nil
}

// restore makes service.crt of the certificate beside the key.
func restore(dir string, keyPEM []byte) ([]byte, error) {
	for block, rest := pem.Decode(keyPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			b := pem.EncodeToMemory(block)
			return b, place(dir, certName, b, os.Rename)
		}
	}
	return nil, &Error{filepath.Join(dir, keyName), fmt.Errorf("has lost its certificate %q: put that back, or remove the key %s",
		filepath.Join(dir, certName), anew)}
}

// newPair makes a key and a certificate, as PEM.
func newPair(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from := now.AddDate(0, 0, -1)
	template := &x509.Certificate{ // with a random serial number
		Subject:               pkix.Name{CommonName: subject},
		NotBefore:             from,
		NotAfter:              from.AddDate(years, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = cmp.Or(
		pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}),
	)
	return b.Bytes(), err
}

// place writes a file beside its place, and puts it there whole: os.Link when what is there must
// stay (the error is fs.ErrExist then), os.Rename when it may be replaced.
func place(dir, name string, content []byte, put func(from, to string) error) error {
	path := filepath.Join(dir, name)
	f, err := os.CreateTemp(dir, "."+name+"-*") // mode 0600
	if err != nil {
		return &Error{path, fmt.Errorf("cannot be written: %w", cause(err))}
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = cmp.Or(err, f.Sync(), f.Close())
	if err == nil {
		err = put(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return &Error{path, fmt.Errorf("cannot be written: %w", cause(err))}
	}
	return nil
}

// syncDir has the names of the files survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
