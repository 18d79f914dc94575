package orchestrator

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/livepeer/lpms/internal/cluster"
)

// access lets connections in, and says what they may do. It implements server.Authentication.
type access struct {
	secret [sha256.Size]byte
	own    string // the password of this process
}

// ownUser is this process, which may do everything.
const ownUser = "orchestrator"

func newAccess(secret string) *access {
	return &access{secret: sha256.Sum256([]byte(secret)), own: rand.Text()}
}

// answerTime is how long a broadcaster may take to answer a worker that fetches a segment.
const answerTime = 10 * time.Second

// Check implements server.Authentication. The time that it takes does not depend on how much of a
// secret is right.
func (a *access) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	given := sha256.Sum256([]byte(o.Password))
	if o.Username == ownUser {
		own := sha256.Sum256([]byte(a.own))
		return subtle.ConstantTimeCompare(given[:], own[:]) == 1
	}
	role := cluster.Role(o.Username)
	known := slices.Contains([]cluster.Role{cluster.Broadcaster, cluster.Transcoder}, role) && cluster.ValidID(o.Name)
	if subtle.ConstantTimeCompare(given[:], a.secret[:]) != 1 || !known {
		return false
	}
	publish, subscribe := cluster.Access(role, o.Name)
	p := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: subscribe},
	}
	if role == cluster.Broadcaster {
		p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: answerTime}
	}
	c.RegisterUser(&server.User{Username: o.Username, Permissions: p})
	return true
}
