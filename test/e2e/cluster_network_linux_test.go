package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// network is machines behind one switch: network namespaces with a bridge between them. The test is
// on the switch, too. The addresses are those for benchmarks (RFC 2544), which nobody has.
type network struct {
	prefix string // of the names
	ip     string // the program
}

const (
	testHost        = "198.18.77.254"
	clusterHost     = "198.18.77." // and the number of a machine
	broadcasterHost = "198.18.78.2"
)

func newNetwork(t testing.TB) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces are for root")
	}
	path, err := exec.LookPath("ip")
	if err != nil {
		path = "/usr/sbin/ip" // not in everybody's path
		_, err = os.Stat(path)
		require.NoError(t, err, missing("ip"))
	}
	n := &network{prefix: fmt.Sprintf("lpms%d-", os.Getpid()), ip: path}
	if err := n.try("netns", "add", n.prefix+"switch"); err != nil {
		t.Skipf("this machine allows no network namespaces: %v", err)
	}
	n.removeAfter(t, "switch")
	n.do(t, "-n", n.prefix+"switch", "link", "add", "br0", "type", "bridge")
	n.do(t, "-n", n.prefix+"switch", "link", "set", "br0", "up")
	n.plug(t, "self")
	n.do(t, "addr", "add", testHost+"/24", "dev", n.device("self"))
	n.do(t, "link", "set", n.device("self"), "up")
	return n
}

func (n *network) try(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, n.ip, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *network) do(t testing.TB, args ...string) {
	t.Helper()
	require.NoError(t, n.try(args...))
}

func (n *network) removeAfter(t testing.TB, name string) {
	t.Cleanup(func() { assert.NoError(t, n.try("netns", "del", n.prefix+name)) })
}

// device is the end of a cable in this namespace; names have 15 bytes at the most.
func (n *network) device(name string) string {
	return fmt.Sprintf("lp%d%.4s", os.Getpid()%1_000_000, name)
}

// plug lays a cable from here to the switch.
func (n *network) plug(t testing.TB, name string) {
	t.Helper()
	n.do(t, "link", "add", n.device(name), "type", "veth", "peer", "name", name, "netns", n.prefix+"switch")
	n.do(t, "-n", n.prefix+"switch", "link", "set", name, "master", "br0", "up")
}

// machine is one of a network.
type machine struct {
	*network
	name string
	addr string // on the switch
}

func (n *network) machine(t testing.TB, name string, number int) *machine {
	t.Helper()
	m := &machine{n, name, fmt.Sprint(clusterHost, number)}
	n.do(t, "netns", "add", n.prefix+name)
	n.removeAfter(t, name)
	n.plug(t, name)
	m.give(t, n.device(name), "eth0", m.addr)
	n.do(t, "-n", n.prefix+name, "link", "set", "lo", "up")
	return m
}

// give moves the end of a cable into a machine.
func (m *machine) give(t testing.TB, device, name, addr string) {
	t.Helper()
	ns := m.prefix + m.name
	m.do(t, "link", "set", device, "netns", ns, "name", name)
	m.do(t, "-n", ns, "addr", "add", addr+"/24", "dev", name)
	m.do(t, "-n", ns, "link", "set", name, "up")
}

// cut takes the cable out of the switch, and heal puts it back.
func (m *machine) cut(t testing.TB)  { m.do(t, "-n", m.prefix+"switch", "link", "set", m.name, "down") }
func (m *machine) heal(t testing.TB) { m.do(t, "-n", m.prefix+"switch", "link", "set", m.name, "up") }

// slow delays all that a machine sends, and loses some. It fails where the kernel cannot.
func (m *machine) slow() error {
	out, err := exec.Command(m.ip, "netns", "exec", m.prefix+m.name, "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "30ms", "loss", "1%").CombinedOutput()
	if err != nil {
		return fmt.Errorf("tc: %w: %s", err, out)
	}
	return nil
}

// run starts lpms there.
func (m *machine) run(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, m.ip, append([]string{"netns", "exec", m.prefix + m.name, "env", "STATE_DIRECTORY=" + t.TempDir(), backEnd, "-orchSecret", orchSecret}, args...)...)
}

// A cluster on machines that are far from each other: 30 ms each way, one packet of a hundred lost.
// The link of a worker is cut for 10 s, then that of the broadcaster for 5 s.
func TestClusterNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	orch := n.machine(t, "orch", 1)
	machines := []*machine{n.machine(t, "wone", 2), n.machine(t, "wtwo", 3)}
	home := n.machine(t, "home", 4)
	// The broadcaster has another network, to its publishers and viewers.
	n.do(t, "link", "add", n.device("view"), "type", "veth", "peer", "name", n.device("pub"))
	n.do(t, "addr", "add", "198.18.78.1/24", "dev", n.device("view"))
	n.do(t, "link", "set", n.device("view"), "up")
	home.give(t, n.device("pub"), "eth1", broadcasterHost)

	o := beginRole(t, orch.run(t, "-orchestrator", "-serviceAddr", orch.addr+":8936"))
	fingerprint := o.see(t, `-orchFingerprint ([0-9a-f]{64})`, patience)[1]
	service := orch.addr + ":8936"
	for _, m := range []*machine{orch, machines[0], machines[1], home} {
		if err := m.slow(); err != nil {
			t.Logf("a proxy in place of netem, which this kernel has not: %v", err)
			service = newSlowProxy(t, net.JoinHostPort(testHost, "0"), service, 30*time.Millisecond).addr
			break
		}
	}
	var workers []*role
	for _, m := range machines {
		workers = append(workers, beginRole(t, m.run(t, "-transcoder", "-orchAddr", service, "-orchFingerprint", fingerprint, "-maxSessions", "4")))
	}
	b := home.run(t, "-broadcaster", "-orchAddr", service, "-orchFingerprint", fingerprint, "-transcodingOptions", lightLadder,
		"-rtmpAddr", broadcasterHost+":1935", "-httpAddr", broadcasterHost+":8935", "-cliAddr", "127.0.0.1:0")
	b.see(t, `Status +http://`, time.Minute)
	s := &server{process: b, rtmp: broadcasterHost + ":1935", http: broadcasterHost + ":8935"}
	t.Cleanup(func() { s.end(t) })
	for _, w := range workers {
		b.see(t, `(?s)(worker .* is there.*){2}`, patience)
		w.alive(t)
	}

	seen := observe(t, s, "far")
	publisher := publish(t, lightClip(t, time.Minute), "rtmp://"+s.rtmp+"/far")
	seen.awaitAll(t, lightNames...)
	machines[0].cut(t)
	pause(t, 10*time.Second)
	assert.Equal(t, lightNames, seen.listed(), "the other worker is there")
	machines[0].heal(t)
	b.see(t, `(?s)is gone.*is there`, patience)
	seen.awaitAll(t, lightNames...)
	home.cut(t)
	pause(t, 5*time.Second)
	home.heal(t)
	healed := time.Now()
	seen.awaitAll(t, lightNames...)
	t.Logf("all renditions were there %v after the link of the broadcaster was healed", time.Since(healed).Round(100*time.Millisecond))
	publisher.stop()
	seen.end(t, patience)
	t.Logf("%v", seen.judge(t))
	assert.Equal(t, lightNames, seen.listed())
	o.alive(t)
}
