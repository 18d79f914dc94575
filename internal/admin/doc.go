// Package admin is the private face of the Streaming Back-End on -cliAddr: what it is
// doing, its metrics, its profiles and the settings that may change while it runs.
//
// It stands beside the flow and sees it only through the functions of [Options] and through
// values of package status. The smallest use:
//
//	metrics := admin.NewMetrics(admin.MetricsOptions{Status: snapshot}) // with -monitor
//	server := &http.Server{Handler: admin.New(admin.Options{Addr: addr, Status: snapshot, Metrics: metrics})}
//	public := metrics.Middleware(hls) // what viewers ask for is counted
//
// There is no password: who can connect is trusted, so it is meant for a loopback address.
// A browser on the same machine is not trusted with it. A request whose Host is no name of
// this machine is refused (DNS rebinding), as is a change of settings, or a profile, that a
// page of another site asks for.
//
// It does not listen, does not log and starts no goroutine. It imports net/http/pprof, which
// registers itself with http.DefaultServeMux as well: do not serve that one.
package admin
