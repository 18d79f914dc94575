// Package servicecert makes the TLS certificate of an orchestrator, and has the others trust it.
//
// Usually nobody has a certificate for a machine that only hands segments on. So the
// orchestrator makes one at its first start and keeps it, and the others are told its
// fingerprint once:
//
//	cert, created, err := servicecert.LoadOrCreate(dir, time.Now())
//	ln = tls.NewListener(ln, servicecert.ServerConfig(cert))
//	fmt.Println("-orchFingerprint", servicecert.Fingerprint(cert))
//
//	tls.Dial("tcp", addr, servicecert.ClientConfig(fingerprints)) // elsewhere
//
// With a certificate that a public authority has signed ([Load]) no fingerprint is
// needed: [ClientConfig] checks it by the host name then.
//
// The package starts no goroutines and opens no connections. It does not renew certificates, and
// does not look at who connects: that is what the secret of the roles is for.
package servicecert
