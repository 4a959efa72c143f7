package bucket

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// spreadTimeout is how long the address whose turn it is may take. It is ten
	// round trips around half of the earth; then the others have theirs.
	spreadTimeout = 2 * time.Second
)

// dialFunc opens connections, as net.Dialer does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer opens the connections of a client. Those to one name go to all of its
// addresses in turn: services answer with some of their many front ends, and
// resolvers that cache give them in the same order for a while, so that all
// connections of a run would meet the first one, with its limits.
type dialer struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dial   dialFunc
	turn   atomic.Uint32
}

func newDialer() *dialer {
	plain := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	d := &dialer{lookup: net.DefaultResolver.LookupNetIP, dial: plain.DialContext}
	// Processes that start together begin at different addresses.
	d.turn.Store(rand.Uint32())
	return d
}

// DialContext tries the address whose turn it is. Without success there the name
// is dialled as everywhere: that tries all addresses, IPv4 beside IPv6, and has
// the error.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if next, ok := d.next(ctx, address); ok {
		short, cancel := context.WithTimeout(ctx, spreadTimeout)
		conn, err := d.dial(short, network, next.String())
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return d.dial(ctx, network, address)
}

// next is the address whose turn it is, of a name that has several in the family
// which this machine prefers.
func (d *dialer) next(ctx context.Context, address string) (netip.AddrPort, bool) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPort{}, false
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addresses, err := d.lookup(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var preferred []netip.Addr
	for _, a := range addresses {
		if a = a.Unmap(); len(preferred) == 0 || a.Is4() == preferred[0].Is4() {
			preferred = append(preferred, a)
		}
	}
	if len(preferred) < 2 {
		return netip.AddrPort{}, false
	}
	turn := d.turn.Add(1) % uint32(len(preferred))
	return netip.AddrPortFrom(preferred[turn], uint16(port)), true
}
