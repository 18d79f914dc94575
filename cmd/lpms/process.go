package main

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/golang/glog"

	"github.com/livepeer/lpms/ffmpeg"
	"github.com/livepeer/lpms/internal/admin"
	"github.com/livepeer/lpms/internal/backend"
	"github.com/livepeer/lpms/internal/cluster"
	"github.com/livepeer/lpms/internal/machine"
	"github.com/livepeer/lpms/internal/orchestrator"
	"github.com/livepeer/lpms/internal/servicecert"
	"github.com/livepeer/lpms/internal/settings"
	"github.com/livepeer/lpms/internal/status"
)

// process is the roles that this process has; those that it has not are nil.
type process struct {
	settings     *settings.Settings
	started      time.Time
	backend      *backend.Backend
	origin       *cluster.Origin
	orchestrator *orchestrator.Orchestrator
	fingerprint  string // of the certificate of the orchestrator, which it made itself
	worker       *cluster.Worker
	meter        machine.Meter
}

func newProcess(ctx context.Context, s *settings.Settings, metrics *admin.Metrics) (*process, error) {
	p := &process{settings: s, started: time.Now()}
	if s.Orchestrator {
		if err := p.addOrchestrator(); err != nil {
			return nil, err
		}
	}
	var encoders []string
	if s.Transcoder || s.Accel != ffmpeg.Software { // a device that is not there is better known now
		var err error
		if encoders, err = cluster.EncodersHere(ctx, s.Accel, s.Device); err != nil {
			return nil, err
		}
	}
	if s.Transcoder {
		host, _ := os.Hostname() // without a name it has its id
		p.worker = cluster.NewWorker(cluster.WorkerOptions{
			Server: p.workerServer(), Name: host, Version: versionText(), Capacity: jobsAtOnce(s.Capacity),
			Encoders: encoders, Preset: s.Preset, Accel: s.Accel, Device: s.Device, Infof: glog.Infof, Warnf: glog.Warningf,
		})
	}
	if !s.Broadcaster {
		return p, nil
	}
	o := backendOptions(s, metrics)
	if s.UsesWorkers() {
		p.origin = cluster.NewOrigin(cluster.OriginOptions{
			Servers: p.servers(), Accel: s.RequireAccel, Preset: s.Preset, LocalFallback: s.LocalFallback, SegmentURL: s.SegmentURL, Tries: s.MaxAttempts,
			Infof: glog.Infof, Warnf: glog.Warningf,
		})
		o.Workers = p.origin
	}
	var err error
	p.backend, err = backend.New(o)
	return p, err
}

// jobsAtOnce is how many segments are transcoded at the same time.
func jobsAtOnce(n int) int {
	if n > 0 {
		return n
	}
	return machine.Jobs()
}

func (p *process) addOrchestrator() error {
	s := p.settings
	o := orchestrator.Options{Addr: s.ServiceAddr, Secret: s.OrchSecret, Infof: glog.Infof, Warnf: glog.Warningf}
	switch {
	case s.ServiceCert != "":
		cert, err := servicecert.Load(s.ServiceCert, s.ServiceKey)
		if err != nil {
			return err
		}
		o.TLS = servicecert.ServerConfig(cert)
	case settings.Public(s.ServiceAddr):
		cert, err := p.ownCertificate()
		if err != nil {
			return err
		}
		o.TLS = servicecert.ServerConfig(cert)
	}
	var err error
	p.orchestrator, err = orchestrator.New(o)
	return err
}

// ownCertificate is for an orchestrator on a network that has none: nobody listens there without.
func (p *process) ownCertificate() (tls.Certificate, error) {
	dir, err := servicecert.DefaultDir(os.LookupEnv)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, created, err := servicecert.LoadOrCreate(dir, time.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	if created {
		glog.Infof("made a certificate for -serviceAddr in %s", dir)
	}
	p.fingerprint = servicecert.Fingerprint(cert)
	return cert, nil
}

// servers are where a broadcaster finds job queues: each orchestrator has its own.
func (p *process) servers() (all []cluster.Server) {
	s := p.settings
	if p.orchestrator != nil || len(s.NATSURL) > 0 {
		return []cluster.Server{p.workerServer()}
	}
	for _, addr := range s.OrchAddr {
		all = append(all, p.orchestrators(addr))
	}
	return all
}

// workerServer is where a transcoder finds jobs: the first orchestrator of the list that is there.
func (p *process) workerServer() cluster.Server {
	s := p.settings
	switch {
	case p.orchestrator != nil:
		return p.orchestrator.Server()
	case len(s.NATSURL) > 0:
		return cluster.Server{Addrs: s.NATSURL, Secret: s.OrchSecret, External: true}
	}
	return p.orchestrators(s.OrchAddr...)
}

// orchestrators are those at these addresses, of which one is used at a time.
func (p *process) orchestrators(addrs ...string) cluster.Server {
	s := p.settings
	trust := servicecert.ClientConfig(s.OrchFingerprints)
	if host, _, _ := net.SplitHostPort(addrs[0]); len(addrs) == 1 && net.ParseIP(host) != nil {
		trust.ServerName = host // names are known without
	}
	return cluster.Server{Addrs: addrs, Secret: s.OrchSecret, TLS: trust, Strict: len(s.OrchFingerprints) > 0}
}

// roles are the functions that run until their context ends, or something fails. announce is
// called when all that listens is ready.
func (p *process) roles(announce func()) (all []func(context.Context) error) {
	var ready []<-chan struct{}
	if p.orchestrator != nil {
		all = append(all, p.orchestrator.Run)
		ready = append(ready, p.orchestrator.Ready())
	}
	if p.origin != nil {
		all = append(all, p.origin.Run)
	}
	if p.worker != nil {
		all = append(all, p.worker.Run)
	}
	if p.backend != nil {
		all = append(all, p.backend.Run)
		ready = append(ready, p.backend.Ready())
	} else {
		all = append(all, p.measure)
	}
	return append(all, func(ctx context.Context) error {
		for _, r := range ready {
			select {
			case <-r:
			case <-ctx.Done():
				return nil
			}
		}
		announce()
		if p.backend == nil && p.worker == nil {
			p.slim()
		}
		<-ctx.Done()
		return nil
	})
}

// slim makes an orchestrator alone small: it uses none of the libraries that the others do, and
// most of what it allocates are segments that pass by.
func (p *process) slim() {
	debug.SetGCPercent(orchestratorGC)
	debug.FreeOSMemory()
	machine.ReleaseStartup()
}

// orchestratorGC is how much garbage there may be, in percent of what is in use.
const orchestratorGC = 40

// measure is for a process without a back-end, which measures by itself.
func (p *process) measure(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			p.meter.Measure(now)
		}
	}
}

// service is where workers connect to.
func (p *process) service() string {
	if a := p.orchestrator.Addr(); a != nil {
		return shown(a)
	}
	return p.settings.ServiceAddr
}

// status is what this process is doing.
func (p *process) status() status.Status {
	var st status.Status
	if p.backend != nil {
		st = p.backend.Status()
		st.Roles = append(st.Roles, "broadcaster")
	} else {
		st = status.Status{
			Version: versionText(), Now: time.Now(), Started: p.started,
			Machine: status.Machine{
				Cores: machine.Cores(), CPU: p.meter.Last(), Memory: machine.ResidentMemory(), Goroutines: runtime.NumGoroutine(),
			},
		}
	}
	if p.orchestrator != nil {
		st.Roles = append(st.Roles, "orchestrator")
		st.Engines = append(st.Engines, p.orchestrator.Engine())
		st.Workers = p.orchestrator.Workers()
	}
	if p.worker != nil {
		own, engine := p.worker.Status()
		st.Roles = append(st.Roles, "transcoder")
		if p.orchestrator == nil {
			st.Engines = append(st.Engines, engine)
			st.Workers = append(st.Workers, own)
		}
	}
	if p.origin != nil { // what it knows of workers is more: whom it refused
		st.Workers = p.origin.Workers()
		if p.orchestrator == nil {
			st.Engines = append(st.Engines, p.origin.Engines()...)
		}
	}
	return st
}
