package bucket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
)

var errDead = errors.New("dead")

// exchange is a network whose names have addresses, and that knows who was dialled.
type exchange struct {
	names  map[string][]string
	dead   []string
	dialed []string
}

func (x *exchange) dialer() *dialer {
	return &dialer{lookup: x.lookup, dial: x.dial}
}

func (x *exchange) lookup(_ context.Context, _, host string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for _, a := range x.names[host] {
		addresses = append(addresses, netip.MustParseAddr(a))
	}
	if addresses == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addresses, nil
}

func (x *exchange) dial(_ context.Context, _, address string) (net.Conn, error) {
	x.dialed = append(x.dialed, address)
	if slices.Contains(x.dead, address) {
		return nil, errDead
	}
	conn, other := net.Pipe()
	other.Close()
	return conn, nil
}

// TestConnectionsAreSpread: each address of a name has its turn, and one that is
// dead costs nothing but the attempt.
func TestConnectionsAreSpread(t *testing.T) {
	names := map[string][]string{
		"many":  {"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::1"},
		"one":   {"192.0.2.1"},
		"both":  {"2001:db8::1", "192.0.2.1"},
		"six":   {"2001:db8::1", "2001:db8::2"},
		"empty": nil,
	}
	for address, want := range map[string][]string{
		"many:443":         {"192.0.2.2:443", "192.0.2.3:443", "192.0.2.1:443", "192.0.2.2:443"},
		"many:https":       {"192.0.2.2:443", "192.0.2.3:443", "192.0.2.1:443", "192.0.2.2:443"},
		"one:443":          {"one:443", "one:443", "one:443", "one:443"},
		"both:443":         {"both:443", "both:443", "both:443", "both:443"},
		"six:9000":         {"[2001:db8::2]:9000", "[2001:db8::1]:9000", "[2001:db8::2]:9000", "[2001:db8::1]:9000"},
		"empty:443":        {"empty:443", "empty:443", "empty:443", "empty:443"},
		"192.0.2.9:443":    {"192.0.2.9:443", "192.0.2.9:443", "192.0.2.9:443", "192.0.2.9:443"},
		"[2001:db8::9]:80": {"[2001:db8::9]:80", "[2001:db8::9]:80", "[2001:db8::9]:80", "[2001:db8::9]:80"},
	} {
		x := &exchange{names: names}
		d := x.dialer()
		for range 4 {
			if _, err := d.DialContext(t.Context(), "tcp", address); err != nil {
				t.Error(address, err)
			}
		}
		if !slices.Equal(x.dialed, want) {
			t.Errorf("%s: %q were dialled, want %q", address, x.dialed, want)
		}
	}
}

func TestDeadAddress(t *testing.T) {
	x := &exchange{names: map[string][]string{"many": {"192.0.2.1", "192.0.2.2"}}, dead: []string{"192.0.2.2:443"}}
	d := x.dialer()
	for range 2 {
		if _, err := d.DialContext(t.Context(), "tcp", "many:443"); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"192.0.2.2:443", "many:443", "192.0.2.1:443"}; !slices.Equal(x.dialed, want) {
		t.Errorf("%q were dialled, want %q", x.dialed, want)
	}
	x.dead = append(x.dead, "192.0.2.1:443", "many:443")
	if _, err := d.DialContext(t.Context(), "tcp", "many:443"); !errors.Is(err, errDead) {
		t.Error(err)
	}
}
